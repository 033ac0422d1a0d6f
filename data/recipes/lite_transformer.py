"""Lite Transformer on verses: three language models at equal MACs over seeds, and a translator from English to Spanish."""

import time

import numpy as np
import torch

from tinylib.core.checkpoint import load_record, save_checkpoint, save_record
from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.core.seed import generator
from tinylib.datasets import verse_pairs
from tinylib.nn.fit import fit
from tinylib.text.attention import attention_distance, attention_maps
from tinylib.text.bleu import bleu
from tinylib.text.learn import PairBatches, log_probabilities, next_token_loss, translate, translation_loss, windows
from tinylib.text.lite_costs import attention_macs, equal_widths, language_model_macs, translator_macs
from tinylib.text.lite_transformer import STYLES, Config, arguments, build
from tinylib.text.tokens import Tokens, bits_per_character, train_tokens

SEEDS = (0, 1, 2, 3, 4)
WORDS, LENGTH, LAYERS, HEADS, KERNELS, BUDGET = 2000, 128, 3, 2, (3, 7, 15), 29_000_000       # MACs of a row of 128 tokens, the logits included
STEPS, BATCH = 600, 8
LEARNING_RATES, LOOK_STEPS, LOOK_SEED = (3e-3, 6e-3, 1.2e-2), 150, 99       # the one look, at validation chapters
PAIR_WORDS, PAIR_MACS = 3000, 24
PAIR_EPOCHS, PAIR_BATCH, PAIR_LR, PAIR_DROPOUT = 8, 64, 4e-3, 0.1
SAMPLES = 12
FACTORY = "tinylib.text.lite_transformer:lite_transformer"


# --- language models ----------------------------------------------------------------------------------------------------


def vocabulary(texts, size):
    """Byte-pair encoding as one line of JSON, the format of the library tokenizers."""
    return train_tokens(texts, size).tokenizer.to_str()


def tokens_of(name):
    from tokenizers import Tokenizer
    return Tokens(Tokenizer.from_str(load_record(f"lite_transformer-{name}")))


def configs(words):
    """Style -> Config, at equal MACs within two per cent."""
    base = Config(words=words, heads=HEADS, layers=LAYERS, kernels=KERNELS, length=LENGTH)
    return equal_widths(base, BUDGET, macs=lambda c: sum(language_model_macs(c, LENGTH).values()), spread=0.02)


def rows_of(part, tokens):
    """Rows of tokens of the chapters, and how many characters they spell."""
    texts = part.passages()
    return windows([tokens.encode(text) for text in texts], LENGTH), sum(map(len, texts))


def train(config, seed, rows, steps, lr):
    model = build(config, generator=generator(seed, "weights", config.style))
    fit(model, (rows[:, :-1], rows[:, 1:]), epochs=steps * BATCH / (len(rows) // BATCH * BATCH), lr=lr, batch=BATCH, optimiser="adam", warmup=0.1,
        weight_decay=0.0, loss=next_token_loss, generator=generator(seed, "order"))
    return model


def bits(model, rows, characters):
    return bits_per_character(log_probabilities(model, rows), characters)


def distances(model, rows):
    """Mean distance of attention in tokens, by layer, over rows without padding."""
    full = rows[(rows != 0).all(1)][:64, :-1]
    return [attention_distance(p).mean().item() for p in attention_maps(model, full).values()]


def look():
    """Record of the one look at validation chapters that fixes the learning rate (one minute)."""
    torch.set_num_threads(1)
    start, data, tokens = time.process_time(), verse_pairs.load(), tokens_of("english")
    (rows, _), val, seen = rows_of(data.train, tokens), rows_of(data.val, tokens), []
    for lr in LEARNING_RATES:
        for style in ("plain", "long_short"):
            seen.append({"style": style, "lr": lr, "bits": bits(train(configs(len(tokens))[style], LOOK_SEED, rows, LOOK_STEPS, lr), *val)})
            print(seen[-1], f"{time.process_time() - start:.0f} s", flush=True)
    save_record("lite_transformer-look", seen, recipe="tinylib data make lite_transformer-look", seed=LOOK_SEED, seconds=time.process_time() - start,
                note=f"bits per character of validation chapters after {LOOK_STEPS} steps; the least mean of the two networks fixes the learning rate")


def chosen_rate():
    """The learning rate of the look with the least mean bits of plain and long_short."""
    seen = load_record("lite_transformer-look")
    return min(LEARNING_RATES, key=lambda lr: sum(s["bits"] for s in seen if s["lr"] == lr))


def one_run(style, seed, data, tokens, *, ship):
    begin, config = time.process_time(), configs(len(tokens))[style]
    (rows, _), val, test = rows_of(data.train, tokens), rows_of(data.val, tokens), rows_of(data.test, tokens)
    model = train(config, seed, rows, STEPS, chosen_rate()).half().float()         # what ships has 16 bits a number; so has what is measured
    seconds = time.process_time() - begin
    result = {"style": style, "seed": seed, "val": bits(model, *val), "test": bits(model, *test), "distance": distances(model, test[0]),
              "macs": sum(language_model_macs(config, LENGTH).values()), "dim": config.dim, "params": sum(p.numel() for p in model.parameters())}
    if ship:
        save_checkpoint(f"lite_transformer-{style}", model.half().state_dict(), factory=FACTORY, arguments=arguments(model),
                        recipe=f"tinylib data make lite_transformer-{style}", seed=seed, seconds=seconds,
                        metrics={"val_bits_per_character": result["val"]})
    print(result, f"{seconds:.0f} s", flush=True)
    return result


def unfinished(name, wanted):
    """Runs of a record that has fewer than it should; a full or a missing one begins anew."""
    try:
        runs = load_record(name)
    except TinylibError:
        return []
    return [] if len(runs) == wanted else runs


def effects():
    """Remake the record of three networks at equal MACs over seeds (about five minutes); goes on where it stopped."""
    torch.set_num_threads(1)
    start, data, tokens = time.process_time(), verse_pairs.load(), tokens_of("english")
    if not (data_dir() / "records/lite_transformer-look.json").exists():
        look()
    wanted = [(style, seed) for seed in SEEDS for style in STYLES]
    runs = unfinished("lite_transformer-effects", len(wanted))
    for style, seed in wanted[len(runs):]:
        runs.append(one_run(style, seed, data, tokens, ship=seed == SEEDS[0]))
        save_record("lite_transformer-effects", runs, recipe="tinylib data make lite_transformer-effects", seed=SEEDS[0],
                    seconds=time.process_time() - start,
                    note=f"{STEPS} steps each; bits per character and attention distance (tokens, by layer) on test chapters")


def _checkpoint(style):
    torch.set_num_threads(1)
    one_run(style, SEEDS[0], verse_pairs.load(), tokens_of("english"), ship=True)


def plain():
    """Remake the plain network of seed 0 (one minute)."""
    _checkpoint("plain")


def flat():
    """Remake the network with a flat feed-forward part of seed 0 (one minute)."""
    _checkpoint("flat")


def long_short():
    """Remake the long-short network of seed 0 (one minute)."""
    _checkpoint("long_short")


def english():
    """Remake the vocabulary of the language models (ten seconds)."""
    begin = time.process_time()
    save_record("lite_transformer-english", vocabulary(verse_pairs.load().train.passages(), WORDS), recipe="tinylib data make lite_transformer-english",
                seed=0, seconds=time.process_time() - begin, note="byte-pair encoding of the English training chapters, written by the library tokenizers")


# --- translation --------------------------------------------------------------------------------------------------------


def both():
    """Remake the vocabulary of the translator (ten seconds)."""
    begin, data = time.process_time(), verse_pairs.load().train
    save_record("lite_transformer-both", vocabulary([*data.english, *data.spanish], PAIR_WORDS), recipe="tinylib data make lite_transformer-both", seed=0,
                seconds=time.process_time() - begin, note="byte-pair encoding of both languages' training verses, written by the library tokenizers")


def train_translator(config, seed, pairs, tokens):
    """A translator with weights of 16 bits, and its CPU seconds."""
    begin = time.process_time()
    model = build(config, translate=True, generator=generator(seed, "weights", "translator"))
    source, target = ([tokens.encode(t) for t in texts] for texts in (pairs.english, pairs.spanish))
    batches = PairBatches(source, target, batch=PAIR_BATCH, generator=generator(seed, "order", "translator"))

    def tell(step):
        if step.index % 50 == 0:
            print(step.index, step.total, f"{step.loss:.3f}", f"{time.process_time() - begin:.0f} s", flush=True)

    fit(model, batches, epochs=PAIR_EPOCHS, lr=PAIR_LR, optimiser="adam", warmup=0.1, weight_decay=0.0, on_step=tell,
        loss=translation_loss(generator(seed, "dropout"), smoothing=0.1), generator=generator(seed, "unused"))
    return model.half().float().eval(), time.process_time() - begin


def bleus(model, part, tokens):
    """BLEU greedy and with four beams, and samples: English, Spanish, translation with four beams."""
    references, scores = [verse_pairs.spaced(t) for t in part.spanish], {}
    for beam in (1, 4):
        out = [tokens.decode(t) for t in translate(model, [tokens.encode(t) for t in part.english], beam=beam)]
        scores[f"bleu_beam{beam}"] = bleu([verse_pairs.spaced(t) for t in out], references)
    return scores, [list(t) for t in zip(part.english, part.spanish, out)][:: len(part) // SAMPLES][:SAMPLES]


def translator():
    """Remake the long-short translator from English to Spanish, and the record of its BLEU and samples (five minutes)."""
    torch.set_num_threads(1)
    data, tokens = verse_pairs.load(), tokens_of("both")
    config = Config(words=len(tokens), dim=96, heads=4, layers=2, kernels=(3, 7), length=96, dropout=PAIR_DROPOUT)
    model, seconds = train_translator(config, SEEDS[0], data.train.short(), tokens)
    result = {"macs": sum(translator_macs(config, PAIR_MACS, PAIR_MACS).values()), "params": sum(p.numel() for p in model.parameters())}
    for name in ("val", "test"):
        scores, samples = bleus(model, getattr(data, name).short(), tokens)
        result |= {f"{name}_{key}": value for key, value in scores.items()} | {f"{name}_samples": samples}
    print({k: v for k, v in result.items() if "samples" not in k}, f"{seconds:.0f} s", flush=True)
    recipe = "tinylib data make lite_transformer-translator"
    save_checkpoint("lite_transformer-translator", model.half().state_dict(), factory=FACTORY, arguments=arguments(model), recipe=recipe, seed=SEEDS[0],
                    seconds=seconds, metrics={"val_bleu_greedy": result["val_bleu_beam1"]})
    save_record("lite_transformer-translation", result, recipe=recipe, seed=SEEDS[0], seconds=seconds,
                note="one seed; BLEU of verses of at most 20 words on both sides, greedy and with four beams; samples: English, Spanish, translation by beam")


# --- claims -------------------------------------------------------------------------------------------------------------


def interval(values):
    """Mean and 95 % t-interval."""
    from scipy import stats
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return {"value": float(values.mean()), "low": float(values.mean() - half), "high": float(values.mean() + half)}


def paired(first, second, key=lambda run: run["test"]):
    """Differences first - second, seed by seed."""
    runs = {(r["style"], r["seed"]): key(r) for r in load_record("lite_transformer-effects")}
    return [runs[first, s] - runs[second, s] for s in sorted({seed for _, seed in runs})]


def bits_long_short():
    """Bits per character that long_short saves against plain (negative: it costs)."""
    return interval(paired("plain", "long_short"))


def bits_flat():
    """Bits per character that the flat feed-forward part alone saves against plain."""
    return interval(paired("plain", "flat"))


def bits_branch():
    """Bits per character that the convolution branch saves against flat."""
    return interval(paired("flat", "long_short"))


def distance():
    """Per cent by which attention looks further in long_short than in plain, mean of layers."""
    runs = {(r["style"], r["seed"]): np.mean(r["distance"]) for r in load_record("lite_transformer-effects")}
    return interval([100 * (runs["long_short", s] / runs["plain", s] - 1) for s in sorted({seed for _, seed in runs})])


def bleu_beam():
    """BLEU on test verses with four beams, one seed."""
    value = load_record("lite_transformer-translation")["test_bleu_beam4"]
    return {"value": value, "low": value, "high": value}


def attention_macs_ratio():
    """MACs of attention over 512 channels over those of the half that long_short keeps, 30 words; exact."""
    value = attention_macs(30, 512) / attention_macs(30, 256)
    return {"value": value, "low": value, "high": value}
