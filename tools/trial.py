"""trial - weights, pictures and captions that both sides compute by formula.

tests/trial.h is the same in C, to the last bit: nothing but integers, one
square root, and one rounding to float32 per number.

    mix, stream, bits    train/random.h, seed 1
    u(name, i)           (bits(i) >> 40) * 2^-23 - 1, in [-1, 1)

Tensor NAME of a shape, by the first line that fits:

    logit_scale          2.65625 (e^2.65625 = 14.2, near CLIP's 1/0.07)
    *.running_mean       u / 4
    *.running_var        1 + u / 8
    BatchNorm's gains    3/16 + u / 64       (bnN, downsample.1)
    its biases           1 + u / 16, the other sign where u < -3/4; bn3 within
                         the layers 3/8 + u / 32, downsample 1 + u / 16
    rank 1, *.weight     1 + u / 8           gains, none of them zero
    rank 1, *bias        u / 16
    *class_embedding     u
    *token_embedding.weight   u
    *positional_embedding     u / 2
    proj, text_projection     u * sqrt(3 / rows)     stored as [in, out]
    all others           u * sqrt(3 / (count / rows))   unit variance kept

BatchNorm's numbers keep most of what enters a ReLU far from 0: near it, the
rounding of one float decides about a gradient, and two correct programs differ
by 1% in the gradients of an RN50.  An eighth of the channels is shut.

Pair n of batch B:

    pixel  u("pixels/B/colour", (n, c))
           + u("pixels/B/cell", (n, c, y/32, x/32))
           + u("pixels/B/grain", (n, c, y, x)) / 2, indices row-major; what
           distinguishes two pictures must outlive average pooling
    length of its caption: the context for n = 0, 3 for n = 1, else
           3 + bits("length/B", n) mod (context - 2)
    ids    vocab - 2, then 1 + bits("ids/B", n * context + t) mod (vocab - 3),
           then vocab - 1, then zeros

Projections of a result by its name in the golden file, k = 0..7:
    p_k = sum of (bit k of bits("projection/NAME", i) ? -x_i : x_i)
"""
import numpy as np

SEED = 1
PROJECTIONS = 8
LOGIT_SCALE = 2.65625
CELL = 32  # pixels a side
GOLDEN = 0x9e3779b97f4a7c15
STEP = 1 << 20  # numbers at a time: they stay in the cache


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return z ^ (z >> np.uint64(31))


def stream(name):
    fnv = 0xcbf29ce484222325
    for byte in name.encode():
        fnv = (fnv ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return mix(np.array([SEED ^ fnv], np.uint64))[0]


def bits(name, begin, end):
    i = np.arange(begin + 1, end + 1, dtype=np.uint64)
    return mix(stream(name) + i * np.uint64(GOLDEN))


def u(name, count):
    """In double; exact in float32 as well."""
    out = np.empty(count)
    for at in range(0, count, STEP):
        end = min(at + STEP, count)
        out[at:end] = (bits(name, at, end) >> np.uint64(40)).astype(np.int64)
    out *= 2.0 ** -23
    out -= 1
    return out


def batchnorm(name):
    """(centre, scale, whether a channel may be shut)."""
    if name.endswith(".weight"):
        return 0.1875, 0.015625, False
    if ".layer" in name and ".bn3." in name:
        return 0.375, 0.03125, False
    return 1.0, 0.0625, ".downsample." not in name


def law(name, shape):
    """The same, of any tensor."""
    last = name.rsplit(".", 1)[-1]
    if name == "logit_scale":
        return LOGIT_SCALE, 0.0, False
    if last == "running_mean":
        return 0.0, 0.25, False
    if last == "running_var":
        return 1.0, 0.125, False
    if ".bn" in name or ".downsample.1." in name:
        return batchnorm(name)
    if len(shape) == 1 and last == "weight":
        return 1.0, 0.125, False
    if len(shape) == 1 and last.endswith("bias"):
        return 0.0, 0.0625, False
    if last == "class_embedding" or name == "token_embedding.weight":
        return 0.0, 1.0, False
    if last == "positional_embedding":
        return 0.0, 0.5, False
    fan_in = shape[0] if last in ("proj", "text_projection") else \
        int(np.prod(shape[1:], dtype=np.int64))
    return 0.0, float(np.sqrt(3.0 / fan_in)), False


def tensor(name, shape):
    """float32, as the files and the C side hold it."""
    centre, scale, shut = law(name, shape)
    x = u(name, int(np.prod(shape, dtype=np.int64)))
    down = x < -0.75
    x *= scale
    x += centre
    if shut:
        x[down] *= -1
    return x.astype(np.float32).reshape(shape)


def pixels(batch, n, size):
    cells = -(-size // CELL)
    colour = u(f"pixels/{batch}/colour", n * 3).reshape(n, 3, 1, 1)
    cell = u(f"pixels/{batch}/cell", n * 3 * cells * cells)
    cell = cell.reshape(n, 3, cells, cells)
    cell = cell.repeat(CELL, 2).repeat(CELL, 3)[:, :, :size, :size]
    grain = u(f"pixels/{batch}/grain", n * 3 * size * size)
    grain = grain.reshape(n, 3, size, size)
    return (colour + cell + grain / 2).astype(np.float32)


def captions(batch, n, context, vocab):
    ids = np.zeros((n, context), np.int64)
    lengths = 3 + bits(f"length/{batch}", 0, n) % np.uint64(context - 2)
    words = 1 + bits(f"ids/{batch}", 0, n * context) % np.uint64(vocab - 3)
    words = words.astype(np.int64).reshape(n, context)
    for i in range(n):
        length = (context, 3)[i] if i < 2 else int(lengths[i])
        ids[i, :length] = words[i, :length]
        ids[i, 0] = vocab - 2
        ids[i, length - 1] = vocab - 1
    return ids


def norm_and_projections(name, x):
    """Of a float64 array: [norm, p_0 .. p_7]."""
    x = np.ascontiguousarray(x, np.float64).reshape(-1)
    out = np.zeros(1 + PROJECTIONS)
    for at in range(0, x.size, STEP):
        part = x[at:at + STEP]
        sign = bits("projection/" + name, at, at + part.size)
        minus = np.unpackbits(sign.astype(np.uint8)[:, None], axis=1,
                              bitorder="little")
        out[0] += np.dot(part, part)
        out[1:] += part.sum() - 2 * (part @ minus.astype(np.float64))
    out[0] = np.sqrt(out[0])
    return out


def parts(name, x):
    """A tensor, or the query, key and value parts of in_proj apart."""
    if "in_proj_" not in name:
        return [(name, x)]
    third = x.shape[0] // 3
    return [(f"{name}/{part}", x[i * third:(i + 1) * third])
            for i, part in enumerate("qkv")]
