#!/usr/bin/env python3
"""Write base/html_tags.inc: element names, what the reader needs to know of
each, and a collision-free hash from a name to its number.

Sets follow the HTML standard's section 13 (tree construction), except INLINE:
the elements whose tags do not separate words in a caption.
usage: tools/gen_tags.py > base/html_tags.inc
"""

VOID = """area base basefont bgsound br col embed frame hr img input keygen link
meta param source track wbr image"""
SPECIAL = """address applet area article aside base basefont bgsound blockquote
body br button caption center col colgroup dd details dir div dl dt embed
fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head
header hgroup hr html iframe img input keygen li link listing main marquee menu
meta nav noembed noframes noscript object ol p param plaintext pre script search
section select source style summary table tbody td template textarea tfoot th
thead title tr track ul wbr xmp"""
FORMAT = "a b big code em font i nobr s small strike strong tt u"
SCOPE = "applet caption html marquee object table td template th"
MARKER = "applet caption marquee object td template th"
INLINE = """a abbr acronym b bdi bdo big cite code data del dfn em font i ins
kbd label mark nobr q rp rt ruby s samp small span strike strong sub sup time tt
u var wbr"""
# start tags that leave svg and math (font only with color, face or size)
BREAKOUT = """b big blockquote body br center code dd div dl dt em embed h1 h2
h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby s small span
strike strong sub sup table tt u ul var"""
# start tags that close an open p
ENDS_P = """address article aside blockquote center details dialog dir div dl
fieldset figcaption figure footer header hgroup main menu nav ol p search
section summary ul h1 h2 h3 h4 h5 h6 pre listing form plaintext table hr xmp li
dd dt"""
# end tags that close down to their element if it is in scope
ENDS_SCOPED = """address applet article aside blockquote button center dd
details dialog dir div dl dt fieldset figcaption figure footer header hgroup
listing main marquee menu nav object ol pre search section summary ul select"""
RCDATA = "textarea title"
RAWTEXT = "style xmp iframe noembed noframes"
# no line of their own in a page's text, although no caption separator knows
# them as inline
FLOW = "img image button input select option object picture source audio " \
       "video svg math canvas meter output progress"
NAMED = """picture svg math foreignobject desc mi mo mn ms mtext annotation-xml
mglyph malignmark optgroup option audio video canvas meter output progress
rb rtc"""

FLAGS = ["VOID", "SPECIAL", "FORMAT", "SCOPE", "MARKER", "INLINE", "BREAKOUT",
         "ENDS_P", "ENDS_SCOPED", "RCDATA", "RAWTEXT", "FLOW"]
SLOTS = 1024
MASK = (1 << 64) - 1


def words(name):
    raw = name.encode().ljust(16, b"\0")
    return (int.from_bytes(raw[:8], "little"),
            int.from_bytes(raw[8:], "little"))


def slot(name, factor):
    a, b = words(name)
    return (((a ^ (b << 5 & MASK)) * factor) & MASK) >> 54


def find_factor(names):
    factor = 0x9e3779b97f4a7c15
    while len({slot(n, factor) for n in names}) < len(names):
        factor = (factor * 6364136223846793005 + 1442695040888963407) & MASK | 1
    return factor


def main():
    sets = {f: set(globals()[f].split()) for f in FLAGS}
    names = set().union(*sets.values(), NAMED.split())
    names |= {"html", "head", "script", "template", "plaintext"}
    names = sorted(names)
    factor = find_factor(names)
    table = [0] * SLOTS
    print("/* Made by tools/gen_tags.py. */")
    print("#ifdef HTML_TAG_ROW")
    for i, name in enumerate(names):
        table[slot(name, factor)] = i + 1
        flags = " | ".join("HTML_" + f for f in FLAGS if name in sets[f])
        ident = name.upper().replace("-", "_")
        print('HTML_TAG_ROW(%s, "%s", %s)' % (ident, name, flags or "0"))
    print("#endif")
    print("#ifdef HTML_TAG_HASH")
    print("#define TAG_FACTOR UINT64_C(0x%x)" % factor)
    print("static const uint8_t tag_slots[%d] = {" % SLOTS)
    line = "   "
    for v in table:
        cell = " %d," % v
        if len(line) + len(cell) > 79:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};")
    print("#endif")


if __name__ == "__main__":
    main()
