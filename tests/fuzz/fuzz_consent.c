/* The input is a header's value, a meta element's content and a list of
 * content signals. */
#include <assert.h>

#include "crawler/consent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_make((const char *)data, size);
    struct consent c;
    int said;

    consent_init(&c);
    consent_header(&c, s, STR("witmill"));
    assert(consent_verdict(&c) < CONSENT_AI_TRAIN);
    /* what a header refuses, the same words in a meta element refuse too,
     * where no agent can turn them away */
    consent_init(&c);
    consent_meta(&c, STR("robots"), s, STR("witmill"));
    assert(consent_verdict(&c) < CONSENT_AI_TRAIN);
    assert(consent_name(consent_verdict(&c))[0]);
    said = consent_ai_train(s);
    assert(said >= -1 && said <= 1);
    return 0;
}
