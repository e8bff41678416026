// What this package uses of libunbound's interface (libunbound.so.8, stable since 1.4.21), declared here so that neither building nor
// starting needs the library: it is looked for when a resolver is made.
#pragma once

struct ub_ctx;

struct ub_result {
    char *qname;
    int qtype;
    int qclass;
    /// Rdata of each record, ended by a null pointer.
    char **data;
    /// Bytes of each.
    int *len;
    char *canonname;
    int rcode;
    void *answer_packet;
    int answer_len;
    int havedata;
    int nxdomain;
    int secure;
    int bogus;
    char *why_bogus;
    int was_ratelimited;
    int ttl;
};

typedef struct ub_ctx *(*ub_ctx_create_t)(void);
typedef void (*ub_ctx_delete_t)(struct ub_ctx *);
typedef int (*ub_ctx_set_option_t)(struct ub_ctx *, const char *name, const char *value);
typedef int (*ub_ctx_set_fwd_t)(struct ub_ctx *, const char *address);
typedef int (*ub_ctx_add_ta_t)(struct ub_ctx *, const char *anchor);
typedef int (*ub_ctx_debugout_t)(struct ub_ctx *, void *file);
typedef int (*ub_ctx_async_t)(struct ub_ctx *, int threaded);
typedef int (*ub_fd_t)(struct ub_ctx *);
typedef int (*ub_process_t)(struct ub_ctx *);
typedef void (*ub_callback_t)(void *mine, int error, struct ub_result *);
typedef int (*ub_resolve_async_t)(struct ub_ctx *, const char *name, int type, int class, void *mine, ub_callback_t, int *id);
typedef int (*ub_cancel_t)(struct ub_ctx *, int id);
typedef void (*ub_resolve_free_t)(struct ub_result *);
