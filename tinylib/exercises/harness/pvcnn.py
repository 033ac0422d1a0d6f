"""Runs the learner's functions of `pvcnn` on one instance and reports plain facts."""

import torch


def gradient_of(out, leaf, upstream):
    """Gradient of sum(upstream * out). Of a scalar: with `grad_outputs` torch imports sympy first, seconds that would count against the time limit."""
    return torch.autograd.grad((out * torch.tensor(upstream, dtype=torch.float64)).sum(), leaf)[0]


def voxelise(fn, args):
    features, places = (torch.tensor(args[name], dtype=torch.float64) for name in ("features", "places"))
    kept = features.clone(), places.clone()
    grid = fn(features, places, args["r"])
    leaf = kept[0].clone().requires_grad_()
    gradient = gradient_of(fn(leaf, kept[1].clone(), args["r"]), leaf, args["upstream"])
    return {"grid": grid.detach().numpy().copy(), "gradient": gradient.numpy(),
            "mutated": not (torch.equal(features, kept[0]) and torch.equal(places, kept[1]))}


def devoxelise(fn, args):
    grid, places = (torch.tensor(args[name], dtype=torch.float64) for name in ("grid", "places"))
    kept = grid.clone(), places.clone()
    out = fn(grid, places)
    leaf = kept[0].clone().requires_grad_()
    gradient = gradient_of(fn(leaf, kept[1].clone()), leaf, args["upstream"])
    return {"out": out.detach().numpy().copy(), "gradient": gradient.numpy(),
            "mutated": not (torch.equal(grid, kept[0]) and torch.equal(places, kept[1]))}


def point_voxel(fn, args):
    """Linear stand-ins for the four parts, each of which counts its calls."""
    features, places = (torch.tensor(args[name], dtype=torch.float64) for name in ("features", "places"))
    kernel, weight = (torch.tensor(args[name], dtype=torch.float64) for name in ("kernel", "weight"))
    kept, calls = features.clone(), {"voxelise": 0, "convs": 0, "devoxelise": 0, "mlp": 0}

    def cell(at, r):
        x, y, z = at.round().long().unbind(1)
        return (x * r + y) * r + z

    def voxelise(features, places, r):
        calls["voxelise"] += 1
        one_hot = torch.nn.functional.one_hot(cell(places, r), r**3).to(features.dtype)
        mean = features @ one_hot / one_hot.sum(1, keepdim=True).clamp(min=1)
        return mean.unflatten(2, (r, r, r))

    def devoxelise(grid, places):
        calls["devoxelise"] += 1
        index = cell(places, grid.shape[-1])[:, None].expand(-1, grid.shape[1], -1)
        return grid.flatten(2).gather(2, index) + places.sum(1, keepdim=True)

    def convs(grid):
        calls["convs"] += 1
        return torch.nn.functional.conv3d(grid, kernel, padding=1)

    def mlp(features):
        calls["mlp"] += 1
        return torch.einsum("kc,bcn->bkn", weight, features)

    out = fn(features, places, args["r"], voxelise, convs, devoxelise, mlp)
    return {"out": out.detach().numpy().copy(), "calls": [calls[name] for name in ("voxelise", "convs", "devoxelise", "mlp")],
            "mutated": not torch.equal(features, kept)}


def block_cost(fn, args):
    macs, size = fn(args["c_in"], args["c_out"], args["r"], args["n"])
    return {"macs": macs, "bytes": size}


def alone(fn, args):
    places = torch.tensor(args["places"], dtype=torch.float64)
    kept = places.clone()
    share = fn(places, args["r"])
    return {"share": float(share), "mutated": not torch.equal(places, kept)}
