/* SPDX-License-Identifier: Apache-2.0
 * Export marks and C++ linkage, shared by every public header. */
#ifndef LFM2_API_H
#define LFM2_API_H

#if defined(_WIN32)
#define LFM2_API
#elif defined(__GNUC__)
#define LFM2_API __attribute__((visibility("default")))
#else
#define LFM2_API
#endif

#ifdef __cplusplus
#define LFM2_BEGIN_DECLS extern "C" {
#define LFM2_END_DECLS }
#else
#define LFM2_BEGIN_DECLS
#define LFM2_END_DECLS
#endif

#endif
