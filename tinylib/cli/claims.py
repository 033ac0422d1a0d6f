"""`tinylib claims`: what we measured beside what was published."""

HELP = "show what we measured beside what was published"


def add_arguments(parser):
    """JSON, and measuring again."""
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="claims of these labs (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON list, for programs")
    parser.add_argument("--recompute", action="store_true", help="run each claim's recipe again and compare (may take hours)")


def run(args) -> int:
    """Print the claims; with --recompute 1 when one is not found again."""
    from tinylib.core.errors import TinylibError
    from tinylib.course.claims import load_claims
    claims = load_claims()
    unknown = sorted(set(args.slugs) - {c.slug for c in claims})
    if unknown:
        raise TinylibError(f"No claims of a lab {unknown[0]!r}. There are claims of: {', '.join(sorted({c.slug for c in claims})) or 'no lab yet'}.")
    claims = [c for c in claims if not args.slugs or c.slug in args.slugs]
    return recompute(claims, args.json) if args.recompute else show(claims, args.json)


def show(claims, as_json: bool) -> int:
    """The claims as text or JSON."""
    import json
    from dataclasses import asdict
    if as_json:
        print(json.dumps([asdict(c) for c in claims], indent=1))
        return 0
    for c in claims:
        print(f"{c.id}  [{c.status}]\n  {c.text}\n  published: {c.published} ({c.source})\n  ours:      {c.ours}\n"
              f"  {c.kind}: {c.result}, {c.seeds} seeds; again with: {c.command}\n")
    counts = {s: sum(c.status == s for c in claims) for s in ("holds", "null", "reversed")}
    print(f"{len(claims)} claims: {counts['holds']} hold, {counts['null']} null, {counts['reversed']} reversed.")
    return 0


def recompute(claims, as_json: bool) -> int:
    """Run the recipes one after the other; an interval that no longer meets the claimed one is told."""
    import json

    from tinylib.course.claims import recompute as again
    found = {}
    for c in claims:
        found[c.id] = new = again(c)
        if not as_json:
            interval = f"{new['value']:.3g} [{new['low']:.3g}, {new['high']:.3g}] {c.unit}".rstrip()
            print(f"{c.id}: claimed {c.result}, found {interval}: {'agrees' if new['agrees'] else 'DIFFERS'}", flush=True)
    if as_json:
        print(json.dumps(found, indent=1))
    return 0 if all(new["agrees"] for new in found.values()) else 1
