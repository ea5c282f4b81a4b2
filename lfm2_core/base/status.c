/* SPDX-License-Identifier: Apache-2.0
 * Names and texts of status codes. */
#include "lfm2/status.h"

const char *lfm2_strerror(int status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text) \
    case value:                        \
        return text;
        LFM2_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    default:
        return "unknown status";
    }
}

const char *lfm2_err_name(int status)
{
    switch (status) {
#define STATUS_NAME(name, value, text) \
    case value:                        \
        return "LFM2_" #name;
        LFM2_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    default:
        return "LFM2_UNKNOWN";
    }
}
