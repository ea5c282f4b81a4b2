/* SPDX-License-Identifier: Apache-2.0
 * Status codes: 0 is success, negative is failure, positive is a flow state.
 * `if (rc < 0) goto fail;` is therefore always right. */
#ifndef LFM2_STATUS_H
#define LFM2_STATUS_H

#include "lfm2/api.h"

LFM2_BEGIN_DECLS

/* X(name, value, text): the one list from which the enum, the names and the texts are made. */
#define LFM2_STATUS_MAP(X)                                                     \
    X(OK, 0, "success")                                                        \
    X(AGAIN, 1, "needs more input")                                            \
    X(EOF, 2, "end of stream")                                                 \
    X(ERR_ARG, -1, "invalid argument")                                         \
    X(ERR_NOMEM, -2, "out of memory")                                          \
    X(ERR_NOT_FOUND, -3, "not found")                                          \
    X(ERR_IO, -4, "cannot read or write")                                      \
    X(ERR_FORMAT, -5, "malformed data")                                        \
    X(ERR_LIMIT, -6, "over a limit")                                           \
    X(ERR_UNSUPPORTED, -7, "not supported")                                    \
    X(ERR_RANGE, -8, "does not fit")                                           \
    X(ERR_STATE, -9, "not possible in this state")                             \
    X(ERR_ABORTED, -10, "aborted")                                             \
    X(ERR_DEADLINE, -11, "deadline passed")                                    \
    X(ERR_NONFINITE, -12, "non-finite value computed")                         \
    X(ERR_UTF8, -13, "not valid UTF-8")

typedef enum lfm2_status {
#define LFM2_STATUS_ENUM(name, value, text) LFM2_##name = (value),
    LFM2_STATUS_MAP(LFM2_STATUS_ENUM)
#undef LFM2_STATUS_ENUM
} lfm2_status;

/* English text of a status, e.g. "out of memory". Static storage; never NULL, also for unknown values. */
LFM2_API const char *lfm2_strerror(int status);

/* Name of a status, e.g. "LFM2_ERR_NOMEM". Static storage; never NULL, also for unknown values. */
LFM2_API const char *lfm2_err_name(int status);

LFM2_END_DECLS

#endif
