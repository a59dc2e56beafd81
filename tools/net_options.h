/*
 * net_options - what crawl and download alike take about the network.
 *
 * Model.   Rows for an option table; `member` is the struct fetch_config
 *          inside config `type`.  Their texts and bounds stand here once, so
 *          that a page of the manual and a section of the INI file say the
 *          same for both.
 * Threads. Constants.
 */
#ifndef TOOLS_NET_OPTIONS_H
#define TOOLS_NET_OPTIONS_H

#include <stddef.h>
#include "base/opt.h"
#include "crawler/fetch.h"

#define NET_OPTION_CONTACT(type_, member)                                      \
    {                                                                          \
        .name = "contact", .type = OPT_STRING,                                 \
        .at = offsetof(type_, member.contact), .arg = "URL|MAIL",              \
        .help = "Who asks: a page or an address at which a site's owner "      \
                "finds you. It stands in the user agent; nothing is asked "    \
                "without.",                                                    \
        .flags = OPT_REQUIRED                                                  \
    }

/* How much at a time. */
#define NET_OPTIONS_LOAD(type_, member)                                        \
    {.name = "host-limit",                                                     \
     .type = OPT_STRING,                                                       \
     .at = offsetof(type_, member.host_limit),                                 \
     .arg = "FILE",                                                            \
     .help = "Lines `HOST N`: so many requests at a time to hosts that "       \
             "permit it, instead of one; they are not counted on their IP "    \
             "address."},                                                      \
    {                                                                          \
        .name = "in-flight", .type = OPT_U64,                                  \
        .at = offsetof(type_, member.in_flight), .arg = "N", .def = "128",     \
        .help = "Requests at a time, all hosts together.", .min = 1,           \
        .max = 4096                                                            \
    }

/* What a failure costs. */
#define NET_OPTIONS_PATIENCE(type_, member)                                    \
    {.name = "retries",                                                        \
     .type = OPT_U64,                                                          \
     .at = offsetof(type_, member.retries),                                    \
     .arg = "N",                                                               \
     .def = "3",                                                               \
     .help = "Further requests after a failure that may pass: time-outs, "     \
             "429, 5xx, broken connections.",                                  \
     .max = 100},                                                              \
        {.name = "backoff-ms",                                                 \
         .type = OPT_U64,                                                      \
         .at = offsetof(type_, member.backoff_ms),                             \
         .arg = "MS",                                                          \
         .def = "2000",                                                        \
         .help = "A host's first wait after such a failure; it doubles.",      \
         .min = 1,                                                             \
         .max = 300000},                                                       \
        {.name = "retry-after-max",                                            \
         .type = OPT_U64,                                                      \
         .at = offsetof(type_, member.retry_after_max_s),                      \
         .arg = "SECONDS",                                                     \
         .def = "900",                                                         \
         .help = "Give up on a host that asks to be left alone for longer.",   \
         .max = 1e6},                                                          \
        {.name = "connect-timeout-ms",                                         \
         .type = OPT_U64,                                                      \
         .at = offsetof(type_, member.connect_timeout_ms),                     \
         .arg = "MS",                                                          \
         .def = "10000",                                                       \
         .help = "For a connection, TLS included.",                            \
         .min = 1,                                                             \
         .max = 3600000},                                                      \
    {                                                                          \
        .name = "timeout-ms", .type = OPT_U64,                                 \
        .at = offsetof(type_, member.total_timeout_ms), .arg = "MS",           \
        .def = "60000", .help = "For one whole request.", .min = 1,            \
        .max = 86400000                                                        \
    }

/* Which addresses a name leads to, and which may be asked. */
#define NET_OPTIONS_REACH(type_, member)                                       \
    {.name = "allow-net",                                                      \
     .type = OPT_LIST,                                                         \
     .at = offsetof(type_, member.allow_net),                                  \
     .arg = "CIDR",                                                            \
     .help = "Private or loopback addresses that may be asked, for tests "     \
             "and intranets (repeatable)."},                                   \
        {.name = "resolve",                                                    \
         .type = OPT_LIST,                                                     \
         .at = offsetof(type_, member.resolve),                                \
         .arg = "HOST:PORT:ADDR:PORT2",                                        \
         .help = "Connect HOST:PORT to ADDR:PORT2 (repeatable)."},             \
        {.name = "no-dns",                                                     \
         .type = OPT_BOOL,                                                     \
         .at = offsetof(type_, member.no_dns),                                 \
         .help = "Look no name up: hosts without --resolve are refused."},     \
        {.name = "dns-servers",                                                \
         .type = OPT_STRING,                                                   \
         .at = offsetof(type_, member.dns_servers),                            \
         .arg = "ADDR:PORT,...",                                               \
         .help = "Ask these name servers instead of the system's."},           \
    {                                                                          \
        .name = "ca-file", .type = OPT_STRING,                                 \
        .at = offsetof(type_, member.ca_file), .arg = "PEM",                   \
        .help = "Certificates to trust instead of the system's."               \
    }

#endif
