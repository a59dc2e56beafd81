#include "tests/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

#define VHOSTS_MAX 64
#define PIECE      65536 /* bytes of a file sent at a time */

struct vhost {
    const char *name;
    const char *root;   /* folder, or NULL */
    const char *robots; /* file, "!/_/..." for a scripted one, or NULL */
};

static struct {
    struct vhost hosts[VHOSTS_MAX];
    size_t n_hosts;
    uint64_t missing_every; /* 0: nothing is missing */
    bool script;
    FILE *log;
    int epoll, listener;
    uint64_t connections;
    uint64_t next_wake_ms; /* of paced responses; UINT64_MAX: none */
    struct httpd_conn *conns;
} server;

static volatile sig_atomic_t stopping;

uint64_t httpd_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- responses ---- */

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 301:
        return "Moved Permanently";
    case 302:
        return "Found";
    case 404:
        return "Not Found";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

void httpd_head(struct httpd_conn *c, int status, const char *type,
                uint64_t size_bytes)
{
    c->status = status;
    buf_addf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", status,
             status_text(status), type);
    if (size_bytes != UINT64_MAX)
        buf_addf(&c->out, "Content-Length: %llu\r\n",
                 (unsigned long long)size_bytes);
    if (c->close_after)
        buf_add(&c->out, STR("Connection: close\r\n"));
}

void httpd_reply(struct httpd_conn *c, int status, const char *type,
                 struct str body)
{
    httpd_head(c, status, type, body.n);
    buf_add(&c->out, STR("\r\n"));
    if (!c->head_only)
        buf_add(&c->out, body);
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".htm", "text/html; charset=utf-8"},
        {".xhtml", "application/xhtml+xml"},
        {".txt", "text/plain; charset=utf-8"},
        {".css", "text/css"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".xml", "application/xml"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".png", "image/png"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".avif", "image/avif"},
        {".svg", "image/svg+xml"},
        {".ico", "image/x-icon"},
        {".pdf", "application/pdf"},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_iends(str_of(path), str_of(types[i][0])))
            return types[i][1];
    return "application/octet-stream";
}

static bool is_picture(const char *path)
{
    return strncmp(type_of(path), "image/", 6) == 0;
}

/* By the path alone, so that neither order nor repetition changes it. */
static bool is_missing(const struct httpd_conn *c)
{
    return server.missing_every && is_picture(c->path) &&
           hash_xxh3(str_of(c->path)) % server.missing_every == 0;
}

static void send_file(struct httpd_conn *c, const char *file, const char *type)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        httpd_reply(c, 404, "text/plain", STR("not here\n"));
        return;
    }
    httpd_head(c, 200, type, (uint64_t)st.st_size);
    buf_add(&c->out, STR("\r\n"));
    if (c->head_only || st.st_size == 0) {
        close(fd);
        return;
    }
    c->file = fd;
    c->at = 0;
    c->end = (uint64_t)st.st_size;
}

static const struct vhost *find_host(const char *name)
{
    for (size_t i = 0; i < server.n_hosts; i++)
        if (strcmp(server.hosts[i].name, name) == 0)
            return &server.hosts[i];
    return NULL;
}

static void send_path(struct httpd_conn *c, const char *root)
{
    char file[IO_PATH_MAX];
    struct stat st;
    size_t n = strlen(c->path);

    if (strstr(c->path, "/../") || str_ends(str_of(c->path), STR("/..")) ||
        (size_t)snprintf(file, sizeof file - 16, "%s%s", root, c->path) >=
            sizeof file - 16) {
        httpd_reply(c, 400, "text/plain", STR("no such path\n"));
        return;
    }
    if (stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (c->path[n - 1] != '/') {
            httpd_head(c, 301, "text/plain", 0);
            buf_addf(&c->out, "Location: %s/\r\n\r\n", c->path);
            return;
        }
        memcpy(file + strlen(file), "index.html", 11);
    }
    send_file(c, file, type_of(file));
}

static void answer(struct httpd_conn *c)
{
    const struct vhost *v = find_host(c->host);
    bool robots = strcmp(c->path, "/robots.txt") == 0;

    if (robots && v && v->robots && v->robots[0] == '!') {
        const char *query = strchr(v->robots, '?');

        snprintf(c->path, sizeof c->path, "%.*s",
                 (int)strcspn(v->robots + 1, "?"), v->robots + 1);
        snprintf(c->query, sizeof c->query, "%s", query ? query + 1 : "");
        httpd_script(c);
        snprintf(c->path, sizeof c->path, "/robots.txt"); /* for the log */
        c->query[0] = '\0';
    } else if (robots && v && v->robots) {
        send_file(c, v->robots, "text/plain; charset=utf-8");
    } else if (server.script && strncmp(c->path, "/_/", 3) == 0) {
        httpd_script(c);
    } else if (!v || !v->root || is_missing(c)) {
        httpd_reply(c, 404, "text/plain", STR("not here\n"));
    } else {
        send_path(c, v->root);
    }
}

/* ---- requests ---- */

static void decode_path(struct str raw, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.n && n + 1 < room; i++) {
        int hi = -1, lo = -1;

        if (raw.p[i] == '%' && i + 2 < raw.n) {
            hi = str_hex_digit(raw.p[i + 1]);
            lo = str_hex_digit(raw.p[i + 2]);
        }
        if (hi >= 0 && lo >= 0 && (hi | lo) != 0) {
            out[n++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            out[n++] = raw.p[i];
        }
    }
    out[n] = '\0';
}

static void copy_str(char *out, size_t room, struct str s)
{
    size_t n = s.n < room ? s.n : room - 1;

    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

/* The Host header in lower case without port, and what Connection says. */
static void read_headers(struct httpd_conn *c, struct str head)
{
    struct str line;

    while (str_split(&head, '\n', &line)) {
        size_t colon = str_find_char(line, ':', 0);
        struct str name = str_slice(line, 0, colon);
        struct str value = str_trim(str_slice(line, colon + 1, line.n));

        if (colon == SIZE_MAX)
            continue;
        if (str_ieq(name, STR("host"))) {
            copy_str(c->host, sizeof c->host,
                     str_slice(value, 0, str_find_char(value, ':', 0)));
            for (char *p = c->host; *p; p++)
                *p = str_lower_char(*p);
        } else if (str_ieq(name, STR("connection"))) {
            c->close_after = str_ieq(value, STR("close"));
        }
    }
}

/* Parse the request at the front of in; false when it is not whole yet. */
static bool take_request(struct httpd_conn *c)
{
    struct str all = buf_str(&c->in), line, method, target;
    size_t end = str_find(all, STR("\r\n\r\n"), 0), query;

    if (end == SIZE_MAX)
        return false;
    line = str_slice(all, 0, str_find_char(all, '\r', 0));
    str_split(&line, ' ', &method);
    if (!str_split(&line, ' ', &target))
        target = STR("/");
    c->head_only = str_eq(method, STR("HEAD"));
    c->close_after = c->reset_after = false;
    c->host[0] = '\0';
    read_headers(c, str_slice(all, 0, end + 2));
    query = str_find_char(target, '?', 0);
    decode_path(str_slice(target, 0, query), c->path, sizeof c->path);
    copy_str(c->query, sizeof c->query,
             query == SIZE_MAX ? STR_NONE
                               : str_slice(target, query + 1, target.n));
    c->start_ms = httpd_now_ms();
    c->step = c->number = c->period_ms = c->wake_ms = 0;
    c->more = NULL;
    c->busy = true;
    if (str_eq(method, STR("GET")) || c->head_only)
        answer(c);
    else
        httpd_reply(c, 405, "text/plain", STR("GET only\n"));
    memmove(c->in.p, c->in.p + end + 4, c->in.n - end - 4);
    c->in.n -= end + 4;
    return true;
}

static void log_request(struct httpd_conn *c)
{
    if (!server.log || !c->busy)
        return;
    fprintf(server.log, "%llu %llu %s %s%s%s %llu %d\n",
            (unsigned long long)c->start_ms, (unsigned long long)httpd_now_ms(),
            c->host[0] ? c->host : "-", c->path, c->query[0] ? "?" : "",
            c->query, (unsigned long long)c->id, c->status);
    fflush(server.log);
}

/* ---- connections ---- */

static void drop(struct httpd_conn *c)
{
    log_request(c);
    if (c->reset_after) {
        struct linger now = {1, 0};

        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(c->fd);
    if (c->file >= 0)
        close(c->file);
    buf_release(&c->in);
    buf_release(&c->out);
    if (c->prev)
        c->prev->next = c->next;
    else
        server.conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c);
}

static void watch_out(struct httpd_conn *c, bool want)
{
    struct epoll_event ev = {.events = EPOLLIN | (want ? EPOLLOUT : 0u),
                             .data.ptr = c};

    if (want != c->watching_out)
        epoll_ctl(server.epoll, EPOLL_CTL_MOD, c->fd, &ev);
    c->watching_out = want;
}

/* More bytes for out: 1 there are some, 0 the response is whole, -1 later. */
static int refill(struct httpd_conn *c)
{
    buf_clear(&c->out);
    c->sent = 0;
    if (c->file >= 0) {
        size_t want = c->end - c->at < PIECE ? (size_t)(c->end - c->at) : PIECE;
        ssize_t got = want ? pread(c->file, buf_reserve(&c->out, want), want,
                                   (off_t)c->at)
                           : 0;

        if (got > 0) {
            c->out.n = (size_t)got;
            c->at += (uint64_t)got;
            return 1;
        }
        close(c->file);
        c->file = -1;
    }
    if (!c->more)
        return 0;
    if (c->period_ms && c->step > 0 && c->wake_ms == 0) {
        c->wake_ms = httpd_now_ms() + c->period_ms;
        if (c->wake_ms < server.next_wake_ms)
            server.next_wake_ms = c->wake_ms;
        return -1;
    }
    c->wake_ms = 0;
    if (!c->more(c))
        c->more = NULL;
    c->step++;
    return c->out.n || c->more ? 1 : 0;
}

/* Send until the socket is full or the response ends; false: c is gone. */
static bool pump(struct httpd_conn *c)
{
    for (;;) {
        if (c->wake_ms > httpd_now_ms())
            return true;
        while (c->sent < c->out.n) {
            ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent,
                             MSG_NOSIGNAL);

            if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                watch_out(c, true);
                return true;
            }
            if (n < 0) {
                drop(c);
                return false;
            }
            c->sent += (size_t)n;
        }
        if (!c->busy) {
            if (!take_request(c))
                break;
            continue;
        }
        switch (refill(c)) {
        case 1:
            continue;
        case -1:
            watch_out(c, false);
            return true;
        default:
            break;
        }
        if (c->close_after) {
            drop(c);
            return false;
        }
        log_request(c);
        c->busy = false;
    }
    watch_out(c, false);
    return true;
}

static void on_readable(struct httpd_conn *c)
{
    char bytes[4096];
    ssize_t n = read(c->fd, bytes, sizeof bytes);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    buf_add_bytes(&c->in, bytes, (size_t)n);
    if (c->in.rc) {
        drop(c);
        return;
    }
    if (!c->busy)
        pump(c);
}

static void on_accept(void)
{
    for (;;) {
        int fd =
            accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int one = 1;
        struct epoll_event ev = {.events = EPOLLIN};
        struct httpd_conn *c;

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c = xcalloc(1, sizeof *c);
        c->fd = fd;
        c->file = -1;
        c->id = ++server.connections;
        buf_init(&c->in, HTTPD_HEAD_MAX);
        buf_init(&c->out, 64 << 20);
        c->next = server.conns;
        if (c->next)
            c->next->prev = c;
        server.conns = c;
        ev.data.ptr = c;
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* Wake paced responses; milliseconds until the next, or -1. */
static int wake_paced(void)
{
    uint64_t now = httpd_now_ms();
    struct httpd_conn *c = server.conns, *after;

    if (server.next_wake_ms <= now) {
        server.next_wake_ms = UINT64_MAX;
        for (; c; c = after) {
            after = c->next;
            if (c->wake_ms && (c->wake_ms > now || pump(c)) && c->wake_ms &&
                c->wake_ms < server.next_wake_ms)
                server.next_wake_ms = c->wake_ms;
        }
    }
    if (server.next_wake_ms == UINT64_MAX)
        return -1;
    now = httpd_now_ms();
    return server.next_wake_ms > now ? (int)(server.next_wake_ms - now) : 0;
}

static void serve(void)
{
    struct epoll_event ev[64];

    server.next_wake_ms = UINT64_MAX;
    while (!stopping) {
        int n = epoll_wait(server.epoll, ev, 64, wake_paced());

        for (int i = 0; i < n; i++) {
            struct httpd_conn *c = ev[i].data.ptr;

            if (!c)
                on_accept();
            else if (ev[i].events & EPOLLOUT)
                pump(c); /* what can be read is told again */
            else
                on_readable(c);
        }
    }
    while (server.conns)
        drop(server.conns);
}

/* ---- start ---- */

static void die(const char *what, const char *arg)
{
    fprintf(stderr, "httpd: %s: %s\n", what, arg);
    exit(2);
}

static void on_signal(int sig)
{
    (void)sig;
    stopping = 1;
}

static unsigned listen_on(const char *address, uint64_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;
    struct epoll_event ev = {.events = EPOLLIN};
    int one = 1;

    /* Strangers' pictures are for this machine alone. */
    if (inet_pton(AF_INET, address, &sa.sin_addr) != 1 ||
        ntohl(sa.sin_addr.s_addr) >> 24 != 127)
        die("not a loopback address", address);
    sa.sin_port = htons((uint16_t)port);
    server.listener =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (server.listener < 0 ||
        bind(server.listener, (struct sockaddr *)&sa, sizeof sa) ||
        listen(server.listener, 1024) ||
        getsockname(server.listener, (struct sockaddr *)&sa, &len))
        die(address, strerror(errno));
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &ev);
    return ntohs(sa.sin_port);
}

/* NAME=VALUE; the vhost is made when it is not there. */
static struct vhost *host_arg(const char *arg, const char **value)
{
    const char *eq = strchr(arg, '=');
    char *name;

    if (!eq)
        die("expected NAME=VALUE", arg);
    *value = eq + 1;
    name = xstrndup(str_make(arg, (size_t)(eq - arg)));
    for (size_t i = 0; i < server.n_hosts; i++)
        if (strcmp(server.hosts[i].name, name) == 0) {
            free(name);
            return &server.hosts[i];
        }
    if (server.n_hosts == VHOSTS_MAX)
        die("too many hosts", arg);
    server.hosts[server.n_hosts].name = name;
    return &server.hosts[server.n_hosts++];
}

static const char usage[] =
    "usage: httpd [--port N] [--bind 127.x.x.x] [--host NAME=DIR]...\n"
    "             [--robots NAME=FILE | NAME=!/_/SCRIPT]... [--script]\n"
    "             [--missing-every N] [--log FILE] [--die-with-parent]\n"
    "Prints its port once it listens. A log line: start ms, end ms, host, "
    "path, connection, status.\n";

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1", *value;
    uint64_t port = 0;

    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];

        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(name, "--script") == 0) {
            server.script = true;
            continue;
        }
        if (strcmp(name, "--die-with-parent") == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            continue;
        }
        if (++i == argc)
            die("value missing or unknown option", name);
        if (strcmp(name, "--port") == 0) {
            if (str_u64(str_of(argv[i]), &port) || port > 65535)
                die("not a port", argv[i]);
        } else if (strcmp(name, "--missing-every") == 0) {
            if (str_u64(str_of(argv[i]), &server.missing_every))
                die("not a number", argv[i]);
        } else if (strcmp(name, "--bind") == 0) {
            address = argv[i];
        } else if (strcmp(name, "--host") == 0) {
            struct vhost *v = host_arg(argv[i], &value);

            v->root = value;
        } else if (strcmp(name, "--robots") == 0) {
            struct vhost *v = host_arg(argv[i], &value);

            v->robots = value;
        } else if (strcmp(name, "--log") == 0) {
            server.log = fopen(argv[i], "we");
            if (!server.log)
                die(argv[i], strerror(errno));
        } else {
            die("unknown option", name);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    printf("%u\n", listen_on(address, port));
    fflush(stdout);
    serve();
    if (server.log)
        fclose(server.log);
    return 0;
}
