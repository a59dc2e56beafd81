// The one C++ file: what language a text is in, by CLD2.
#include "filter/language_cld2.h"

#include <cstdio>
#include <limits.h>
#include <strings.h>

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

extern "C" int language_cld2_number(const char *code)
{
    for (int i = 0; i < CLD2::NUM_LANGUAGES; i++) {
        CLD2::Language language = static_cast<CLD2::Language>(i);

        if (language != CLD2::UNKNOWN_LANGUAGE &&
            language != CLD2::TG_UNKNOWN_LANGUAGE &&
            !strcasecmp(CLD2::LanguageCode(language), code))
            return i;
    }
    return -1;
}

extern "C" const char *language_cld2_version(void)
{
    return CLD2::DetectLanguageVersion();
}

// No hints: the same text in the same language, wherever it was found.
extern "C" void language_cld2_guess(const char *text, size_t n,
                                    struct language_guess *guess)
{
    const CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING,
                                  CLD2::UNKNOWN_LANGUAGE};
    CLD2::Language language[3] = {CLD2::UNKNOWN_LANGUAGE,
                                  CLD2::UNKNOWN_LANGUAGE,
                                  CLD2::UNKNOWN_LANGUAGE};
    int percent[3] = {0, 0, 0}, letters = 0, valid = 0;
    double score[3];
    bool reliable = false;

    guess->number = -1;
    guess->percent = 0;
    guess->reliable = false;
    if (n > INT_MAX)
        return;
    CLD2::ExtDetectLanguageSummaryCheckUTF8(
        text, static_cast<int>(n), true, &hints, 0, language, percent, score,
        nullptr, &letters, &reliable, &valid);
    if (static_cast<size_t>(valid) < n ||
        language[0] == CLD2::UNKNOWN_LANGUAGE ||
        language[0] == CLD2::TG_UNKNOWN_LANGUAGE)
        return;
    guess->number = language[0];
    guess->percent = percent[0];
    guess->reliable = reliable;
}
