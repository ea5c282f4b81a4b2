/* SPDX-License-Identifier: Apache-2.0
 * Compiled once for each public header, as C11 and as C++17, with LFM2_HEADER naming it: the header must need nothing before it
 * and may be included twice. */
#include LFM2_HEADER
#include LFM2_HEADER

int main(void)
{
    return 0;
}
