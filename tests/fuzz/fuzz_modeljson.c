/* A model JSON of any bytes, in any of its forms: what is accepted is a sound
 * config, and writing it gives the same again. */
#include "train/config.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct clip_config *c,
                  void (*write)(const struct clip_config *, struct buf *))
{
    struct clip_config back;
    struct buf b;

    buf_init(&b, CONFIG_JSON_MAX);
    write(c, &b);
    if (b.rc || clip_config_parse(&back, buf_str(&b), "x", NULL) ||
        !clip_config_equal(c, &back))
        abort();
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clip_config c;
    struct err e = ERR_INIT;

    if (clip_config_parse(&c, str_make((const char *)data, size), "x", &e)) {
        if (!e.message[0])
            abort();
        return 0;
    }
    if (clip_config_check(&c, NULL) || clip_config_grid(&c) < 1 ||
        clip_config_features(&c) % clip_config_vision_heads(&c))
        abort();
    again(&c, clip_config_write);
    again(&c, clip_config_write_hub);
    if (c.vision.kind == VISION_VIT && !c.logit_bias)
        again(&c, clip_config_write_transformers);
    return 0;
}
