/*
 * embed - a file of the tree as a string in the program.
 *
 * Model.   EMBED_TEXT(name, "tools/report.css") at file scope makes
 *          `extern const char name[]`, the file's bytes and a NUL.  The path
 *          is relative to the root of the tree, where make runs; the Makefile
 *          names the file as a prerequisite of the object.
 * Threads. Constant.
 */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#define EMBED_TEXT(name, path)                                                 \
    __asm__(".pushsection .rodata\n"                                           \
            ".globl " #name "\n"                                               \
            ".hidden " #name "\n" #name ":\n"                                  \
            ".incbin \"" path "\"\n"                                           \
            ".byte 0\n"                                                        \
            ".popsection\n");                                                  \
    extern const char name[]

#endif
