/* SPDX-License-Identifier: Apache-2.0
 * Version of the library, from the numbers in the umbrella header. */
#include "lfm2/lfm2.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *lfm2_version(void)
{
    return VERSION_TEXT(LFM2_VERSION_MAJOR, LFM2_VERSION_MINOR, LFM2_VERSION_PATCH);
}
