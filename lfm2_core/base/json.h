/* SPDX-License-Identifier: Apache-2.0
 * JSON documents, read-only, parsed within limits. jansson is behind json.c only. */
#ifndef LFM2__JSON_H
#define LFM2__JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "lfm2/runtime.h"

typedef struct lfm2__json_doc lfm2__json_doc; /* owns the tree */
typedef struct lfm2__json lfm2__json;         /* one value in it; never freed by itself */

typedef struct lfm2__json_limits {
    size_t max_bytes;
    int32_t max_depth;  /* nesting of arrays and objects, <= 1000 */
    size_t max_values;  /* values and keys in the whole document */
    int ints_as_reals;  /* 1: integers become REAL, so that ones beyond int64 are no error: for files whose integers nobody reads */
} lfm2__json_limits;

typedef enum lfm2__json_type {
    LFM2__JSON_NULL, LFM2__JSON_BOOL, LFM2__JSON_INT, LFM2__JSON_REAL, LFM2__JSON_STRING, LFM2__JSON_ARRAY, LFM2__JSON_OBJECT
} lfm2__json_type;

/* Parse n bytes. Duplicate keys, NUL in strings, invalid UTF-8, trailing bytes, numbers beyond int64 or double are errors.
 * label: names the source in log lines (a path). Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
int lfm2__json_parse(lfm2_runtime *rt, const char *label, const char *text, size_t n, const lfm2__json_limits *limits,
                     lfm2__json_doc **out) LFM2__NODISCARD;

/* The same from a file, which must be regular and at most max_bytes long. Also LFM2_ERR_NOT_FOUND, LFM2_ERR_IO. */
int lfm2__json_load(lfm2_runtime *rt, const char *path, const lfm2__json_limits *limits, lfm2__json_doc **out) LFM2__NODISCARD;

void lfm2__json_free(lfm2__json_doc *doc); /* NULL is allowed */

const lfm2__json *lfm2__json_root(const lfm2__json_doc *doc);

/* All accept v == NULL, which has the type NULL. */
lfm2__json_type lfm2__json_typeof(const lfm2__json *v);
const char *lfm2__json_type_name(const lfm2__json *v); /* "integer", "string" ... for messages */

int64_t lfm2__json_int(const lfm2__json *v);     /* of an INT; otherwise 0 */
double lfm2__json_number(const lfm2__json *v);   /* of an INT or REAL; otherwise 0 */
int lfm2__json_bool(const lfm2__json *v);        /* of a BOOL; otherwise 0 */
const char *lfm2__json_str(const lfm2__json *v, size_t *n); /* of a STRING, NUL-terminated UTF-8; otherwise NULL. n may be NULL */

size_t lfm2__json_size(const lfm2__json *v);                          /* of an ARRAY or OBJECT; otherwise 0 */
const lfm2__json *lfm2__json_at(const lfm2__json *v, size_t i);       /* of an ARRAY; NULL beyond its end */
const lfm2__json *lfm2__json_get(const lfm2__json *v, const char *k); /* of an OBJECT; NULL if the key is absent */

/* Walk an object in the document's order: `for (it = NULL; lfm2__json_next(obj, &it, &key, &key_n, &val);)`. */
int lfm2__json_next(const lfm2__json *obj, void **it, const char **key, size_t *key_n, const lfm2__json **val);

/* Fields with checks, for config files. Absent or null: *out stays as it is and 0 is returned. Present with the wrong type
 * or out of [lo, hi] (or not finite): LFM2_ERR_FORMAT, logged as "label: key: ...". */
int lfm2__json_field_int(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int64_t lo, int64_t hi,
                         int64_t *out) LFM2__NODISCARD;
int lfm2__json_field_number(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, double lo, double hi,
                            double *out) LFM2__NODISCARD;
int lfm2__json_field_bool(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int *out) LFM2__NODISCARD;

/* Text of a value as Python's json.dumps(ensure_ascii=False) writes it (", " and ": " as separators, key order kept).
 * *out: freed by lfm2__free(). Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__json_dumps(lfm2_runtime *rt, const lfm2__json *v, char **out, size_t *out_n) LFM2__NODISCARD;

/* Append a value in the same form, but whole numbers as integers and others as decimals without an exponent where that is short. */
void lfm2__json_put_plain(lfm2__str *s, const lfm2__json *v);

/* Append n bytes of UTF-8 as a JSON string, quotes included. */
void lfm2__json_put_string(lfm2__str *s, const char *text, size_t n);

#endif
