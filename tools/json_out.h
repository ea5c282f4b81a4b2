/* SPDX-License-Identifier: Apache-2.0
 * JSON results, written front to back into memory. Errors stick; look once at the end. */
#ifndef LFM2_TOOLS_JSON_OUT_H
#define LFM2_TOOLS_JSON_OUT_H

#include <stddef.h>
#include <stdint.h>

#define JSON_OUT_MAX_DEPTH 32

typedef struct json_out {
    char *data; /* NUL-terminated once something was written */
    size_t n, cap;
    int depth;
    int has_items[JSON_OUT_MAX_DEPTH]; /* a comma is due before the next value */
    int failed; /* out of memory, or nested too deep */
} json_out;

/* Zero the struct to start. key: name of the member inside an object, NULL inside an array and at the top. */
void json_begin_object(json_out *j, const char *key);
void json_end_object(json_out *j);
void json_begin_array(json_out *j, const char *key);
void json_end_array(json_out *j);

/* n bytes; what is no UTF-8 becomes U+FFFD. s == NULL writes null. */
void json_put_text_n(json_out *j, const char *key, const char *s, size_t n);
void json_put_text(json_out *j, const char *key, const char *s);
void json_put_int(json_out *j, const char *key, int64_t v);
/* Seven significant digits; what is not finite becomes null. */
void json_put_real(json_out *j, const char *key, double v);
void json_put_bool(json_out *j, const char *key, int v);
void json_put_null(json_out *j, const char *key);
/* n bytes that are JSON already. */
void json_put_raw(json_out *j, const char *key, const char *json, size_t n);

/* A line end after the top value. Returns 0, or -1 if anything failed on the way. */
int json_finish(json_out *j);
void json_fini(json_out *j);

#endif
