/* What loading took, in words and numbers. */
#include <stdio.h>

#include "train/loader.h"

void load_json(const struct load *x, struct json_out *o)
{
    json_out_object(o);
    json_put_u64(o, "samples", x->samples);
    json_put_u64(o, "replaced", x->replaced);
    json_put_u64(o, "bytes", x->bytes);
    json_put_double(o, "read", x->read);
    json_put_double(o, "tokenise", x->tokenise);
    json_put_double(o, "copy", x->copy);
    json_put_double(o, "decode", x->decode);
    json_put_double(o, "resize", x->resize);
    json_out_end_object(o);
}

void load_advice(const struct load *x, double seconds, unsigned workers,
                 char *out, size_t size)
{
    double pictures = (x->decode + x->resize) / workers;
    double thread = x->read + x->tokenise + x->copy;
    double most = pictures > thread ? pictures : thread;
    const char *what, *helps;

    if (!(seconds > 0 && most > 0)) {
        snprintf(out, size, "nothing was loaded");
        return;
    }
    if (most == pictures) {
        what = x->decode > x->resize ? "decoding pictures limits"
                                     : "resizing pictures limits";
        helps = "--fast-decode, more --workers on more processors, or smaller "
                "stored pictures help";
    } else if (x->read > x->tokenise && x->read > x->copy) {
        what = "reading limits";
        helps = "a faster disk, a smaller --window or more memory help";
    } else {
        what = x->tokenise > x->copy ? "tokenising limits" : "copying limits";
        helps = "more ranks on this machine help, each has a thread for it";
    }
    snprintf(out, size,
             "%s: its part was busy %.0f%% of the time (workers %.0f%%, the "
             "reading thread %.0f%%, of which %.0f%% reading); %s",
             what, 100 * most / seconds, 100 * pictures / seconds,
             100 * thread / seconds, 100 * x->read / seconds, helps);
}
