/*
 * dump_xml - tags and escaped text of MediaWiki's export XML, by memchr.
 *
 * Model.   A cursor over bytes in memory.  In well-formed XML a `<` is always
 *          markup, so text is what lies between two of them, and only `&`
 *          needs a look at it.  Comments, processing instructions and CDATA
 *          sections are known; any other `<!` is wrong, so that no DOCTYPE and
 *          no entity of a file's own gets by.  Not a validator: names,
 *          attributes and characters are taken as they come.
 * Owns.    Nothing; what comes out points into the bytes.
 * Fails.   x->wrong says what is not well-formed, x->at where; it sticks.
 * Threads. One per cursor.
 */
#ifndef QUERYLIST_DUMP_XML_H
#define QUERYLIST_DUMP_XML_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/str.h"

#define XML_DEPTH_MAX 32 /* elements inside each other */

/* What is said of a <! that begins neither comment nor CDATA. */
#define XML_DECLARATION                                                        \
    "a declaration (DOCTYPE, ENTITY), which no wiki writes, refused; take it " \
    "out, or take the dump as the wiki gives it"

struct xml {
    const char *at, *end;
    const char *wrong; /* NULL while all is well */
};

enum xml_kind { XML_END, XML_OPEN, XML_EMPTY, XML_CLOSE };

struct xml_tag {
    enum xml_kind kind; /* XML_END also when something is wrong */
    struct str name;
    struct str attributes; /* what stands behind the name, escaped */
};

/* Its <. */
static inline const char *xml_tag_at(const struct xml_tag *t)
{
    return t->name.p - 1 - (t->kind == XML_CLOSE);
}

/* Pass to behind the next tag, over the text before it. */
void xml_tag(struct xml *x, struct xml_tag *t);

struct xml_text {
    struct str raw;
    bool mixed; /* with comments, instructions or CDATA sections inside */
};

/* Behind the opening tag `name`: its text, and pass its closing tag. */
bool xml_leaf(struct xml *x, struct str name, struct xml_text *t);

/* Behind the opening tag `name`: pass all of the element. */
bool xml_skip(struct xml *x, struct str name);

/* The value of an attribute, escaped; false when it has none of the name. */
bool xml_attribute(struct str attributes, struct str name, struct str *value);

enum xml_fault {
    XML_FINE,
    XML_BAD_CODE,      /* a reference to what is no character of XML */
    XML_UNKNOWN_ENTITY /* an & that begins none of the five, nor a number */
};

/* Append the text that raw stands for, line ends as LF.  *where is then the
 * place of a fault. */
enum xml_fault xml_unescape(const struct xml_text *t, struct buf *out,
                            const char **where);

/* Has UTF-8 a character that no XML may have (1.0, production 2): controls but
 * for tab, LF and CR, U+FFFE, U+FFFF? */
bool xml_has_forbidden(struct str s);

/* Does the text stand for itself, so that nothing need be copied? */
bool xml_is_plain(const struct xml_text *t);

#endif
