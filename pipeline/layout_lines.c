/* SPDX-License-Identifier: Apache-2.0
 * What leptonica does for the layout: how far the page is turned, where rules are, which pixels of ink hang together. It gets bits
 * and gives boxes; no file is read or written. Its memory comes from the C library and not from the runtime (it has one allocator
 * for the whole process), and is bounded: a few bits for each pixel of the grey page, and the boxes. */
#include <math.h>
#include <string.h>

#include <leptonica/allheaders.h>

#include "base/runtime_impl.h"
#include "pipeline/layout_impl.h"

#define MAX_BOXES 400000
#define MIN_RULE_PX 80   /* shorter ones may be strokes of large letters */
#define MAX_RULE_WIDTH 8 /* px; what is wider is a bar, on which letters may stand */
#define MIN_CONFIDENCE 2.0f
#define SWEEP_MARGIN 2 /* degrees */
#define DEGREES (3.14159265358979323846 / 180)

/* It tells standard error what it dislikes, by a level of the whole process. Whoever has set that level keeps it. */
static void be_quiet(void)
{
    if (LeptMsgSeverity == DEFAULT_SEVERITY) (void)setMsgSeverity(L_SEVERITY_NONE);
}

static int no_memory(lfm2_runtime *rt)
{
    return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: leptonica is out of memory");
}

static PIX *to_pix(const lfm2__mask *m)
{
    be_quiet();
    PIX *pix = pixCreateNoInit(m->w, m->h, 1);
    if (pix != NULL) memcpy(pixGetData(pix), m->bits, (size_t)m->wpl * (size_t)m->h * sizeof *m->bits);
    return pix;
}

int lfm2__find_skew(lfm2_runtime *rt, const lfm2__ink *ink, double max_deg, double *skew_deg)
{
    *skew_deg = 0;
    const lfm2__mask *m = &ink->mask[0];
    if (max_deg <= 0 || m->w < 16 || m->h < 16) return 0;
    PIX *pix = to_pix(m), *light = to_pix(&ink->mask[1]);
    int rc = 0;
    if (pix == NULL || light == NULL || pixOr(pix, pix, light) == NULL) rc = no_memory(rt);
    const int32_t reduction = m->h >= 1500 ? 4 : m->h >= 300 ? 2 : 1;
    float angle = 0, confidence = 0, score = 0;
    const float range = (float)max_deg + SWEEP_MARGIN; /* it does not believe what it finds at the end of its range */
    if (rc == 0 && pixFindSkewSweepAndSearchScore(pix, &angle, &confidence, &score, reduction, 1, 0, range, 1, 0.01f) == 0
        && confidence >= MIN_CONFIDENCE && fabsf(angle) <= (float)max_deg) {
        *skew_deg = (double)angle;
    }
    pixDestroy(&pix);
    pixDestroy(&light);
    return rc;
}

/* Rules of one direction on a straight page. w, h: the least rule; thick: what is as wide as this everywhere is none. */
static PIX *rules_of(PIX *pix, int32_t w, int32_t h, int32_t thick_w, int32_t thick_h)
{
    PIX *rules = pixOpenBrick(NULL, pix, w, h), *bars = rules != NULL ? pixOpenBrick(NULL, rules, thick_w, thick_h) : NULL;
    PIX *thin = bars != NULL ? pixSubtract(NULL, rules, bars) : NULL;
    pixDestroy(&rules);
    pixDestroy(&bars);
    return thin;
}

int lfm2__remove_rules(lfm2_runtime *rt, lfm2__mask *m, double skew_deg)
{
    if (m->w < MIN_RULE_PX && m->h < MIN_RULE_PX) return 0;
    const int is_turned = fabs(skew_deg) > 0.1;
    const float angle = (float)(skew_deg * DEGREES);
    PIX *pix = to_pix(m), *across = NULL, *down = NULL, *rules = NULL, *back = NULL;
    PIX *straight = pix != NULL ? is_turned ? pixRotate(pix, angle, L_ROTATE_SHEAR, L_BRING_IN_WHITE, 0, 0) : pixClone(pix) : NULL;
    if (straight != NULL) across = rules_of(straight, MIN_RULE_PX, 1, 1, MAX_RULE_WIDTH + 1);
    if (straight != NULL) down = rules_of(straight, 1, MIN_RULE_PX, MAX_RULE_WIDTH + 1, 1);
    int rc = across == NULL || down == NULL || pixOr(across, across, down) == NULL ? no_memory(rt) : 0;
    l_int32 is_empty = 1;
    if (rc == 0) (void)pixZero(across, &is_empty);
    if (rc == 0 && !is_empty) {
        back = is_turned ? pixRotate(across, -angle, L_ROTATE_SHEAR, L_BRING_IN_WHITE, 0, 0) : pixClone(across);
        if (back != NULL) rules = pixDilateBrick(NULL, back, 3, 3); /* their soft rims, too */
        if (rules == NULL || pixGetWidth(rules) != m->w || pixGetHeight(rules) != m->h || pixSubtract(pix, pix, rules) == NULL) {
            rc = no_memory(rt);
        } else {
            memcpy(m->bits, pixGetData(pix), (size_t)m->wpl * (size_t)m->h * sizeof *m->bits);
        }
    }
    pixDestroy(&pix);
    pixDestroy(&straight);
    pixDestroy(&across);
    pixDestroy(&down);
    pixDestroy(&back);
    pixDestroy(&rules);
    return rc;
}

int lfm2__find_boxes(lfm2_runtime *rt, const lfm2__mask *m, lfm2__rect **out, int32_t *n_out)
{
    PIX *pix = to_pix(m);
    BOXA *boxes = pix != NULL ? pixConnCompBB(pix, 8) : NULL;
    pixDestroy(&pix);
    if (boxes == NULL) return no_memory(rt);
    const int32_t n = boxaGetCount(boxes);
    lfm2__rect *rects = NULL;
    int32_t n_rects = 0;
    int rc = 0;
    if (n > 0) rects = lfm2__calloc(rt, (size_t)n, sizeof *rects);
    if (n > 0 && rects == NULL) rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    for (int32_t i = 0; rc == 0 && i < n; i++) {
        l_int32 x, y, w, h;
        if (boxaGetBoxGeometry(boxes, i, &x, &y, &w, &h) != 0) continue;
        if (w * h > 1) rects[n_rects++] = (lfm2__rect){x, y, x + w, y + h}; /* single pixels are dirt */
    }
    boxaDestroy(&boxes);
    if (rc == 0 && n_rects > MAX_BOXES) rc = lfm2__fail(rt, LFM2_ERR_LIMIT, "layout: over %d pieces of ink", MAX_BOXES);
    if (rc < 0) {
        lfm2__free(rt, rects);
        return rc;
    }
    *out = rects;
    *n_out = n_rects;
    return 0;
}
