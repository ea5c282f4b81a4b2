/* SPDX-License-Identifier: Apache-2.0
 * Many generations at once: each comes out as it does alone, whatever runs beside it; refusals, aborts, deadlines, failures. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "lfm2/batch.h"
#include "model/batch_impl.h"
#include "model_testing.h"

enum { VOCAB = 101, D = 64, MAX_JOBS = 16, CAP_TOK = 96, N_IDS = 80, NO_STATUS = 77 };

typedef struct fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    lfm2_model *m;
    float *table; /* f32 [VOCAB, D]: the embedding of each id */
    int32_t ids[N_IDS];
} fixture;

static fixture dense, moe, one_thread;
static fixture *const ALL[] = {&dense, &moe, &one_thread};

static void make_fixture(fixture *f, const toy_spec *spec, int32_t n_threads)
{
    static toy m;
    f->rt = toy_runtime(n_threads, LFM2_CPU_MASK_ALL & ~(uint32_t)LFM2_CPU_BLAS, &f->heap, &f->log);
    toy_init(&m, spec);
    f->m = toy_reload(f->rt, &m);
    f->table = test_malloc(sizeof(float) * VOCAB * D);
    memcpy(f->table, toy_find(&m, "embed_tokens.weight")->data, sizeof(float) * VOCAB * D);
    toy_ids(f->ids, N_IDS, VOCAB, 1);
    toy_fini(&m);
}

static int setup(void **state)
{
    (void)state;
    make_fixture(&dense, &TOY_DENSE, 4);
    make_fixture(&moe, &TOY_MOE, 2);
    make_fixture(&one_thread, &TOY_DENSE, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        test_free(ALL[i]->table);
        lfm2_model_unload(ALL[i]->m);
        lfm2_runtime_destroy(ALL[i]->rt);
        assert_int_equal(ALL[i]->heap.n_live, 0);
    }
    return 0;
}

/* What one job says while it runs and in the end. */
typedef struct work {
    fixture *f;
    lfm2_batch *b; /* to be misused from within; NULL: not */
    lfm2_job job;
    lfm2_prompt_part part;
    int32_t ids[CAP_TOK];
    float logprobs[CAP_TOK];
    int32_t n_ids;
    int32_t call_off_at, abort_at;
    int n_done, status;
    lfm2_generation g;
} work;

static int on_token(void *ctx, int32_t id, float logprob)
{
    work *w = ctx;
    assert_in_range(w->n_ids, 0, CAP_TOK - 1);
    assert_int_equal(w->n_done, 0);
    w->ids[w->n_ids] = id;
    w->logprobs[w->n_ids++] = logprob;
    if (w->n_ids == w->abort_at) lfm2_runtime_abort(w->f->rt);
    if (w->b != NULL) {
        assert_int_equal(lfm2_batch_step(w->b), LFM2_ERR_STATE);
        assert_int_equal(lfm2_batch_submit(w->b, &w->job), LFM2_ERR_STATE);
    }
    return w->n_ids == w->call_off_at;
}

static void on_done(void *ctx, int status, const lfm2_generation *g)
{
    work *w = ctx;
    w->n_done++;
    w->status = status;
    w->g = *g;
    assert_int_equal(g->n_tok, w->n_ids);
}

static int two_ids(void *ctx, int32_t id)
{
    (void)ctx;
    return id == 50 || id == 51;
}

/* Job i of a mixed lot: its own length of prompt, way of sampling and reason to stop. */
static void make_work(work *w, fixture *f, int32_t i)
{
    static const int32_t end_ids[] = {3, 17, 40, 41, 42, 43, 44, 45};
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    if (i % 3 != 0) sp.temperature = 0.5f + (float)i / 4.0f;
    sp.seed = (uint64_t)i * 77u;
    sp.top_k = i % 4 == 1 ? 20 : 0;
    sp.repeat_penalty = i % 5 == 2 ? 1.3f : 1.0f;
    memset(w, 0, sizeof(*w));
    w->f = f;
    w->status = NO_STATUS;
    w->part = (lfm2_prompt_part){.n_tok = 1 + (i * 7) % 30, .ids = f->ids + i};
    w->job = (lfm2_job){.seq = -1, .parts = &w->part, .n_parts = 1, .fn = on_token, .done = on_done, .ctx = w};
    w->job.params = lfm2_generate_params_default();
    w->job.params.max_tok = 1 + (i * 5) % 40;
    if (i % 2 == 1) {
        w->job.params.end_ids = end_ids;
        w->job.params.n_end_ids = 8;
    }
    if (i % 7 == 5) {
        w->job.params.loop_min_tok = 6;
        w->job.params.loop_min_reps = 2;
        w->job.params.loop_max_unit = 8;
    }
    assert_int_equal(lfm2_sampler_create(f->rt, &sp, VOCAB, i % 7 == 5 ? two_ids : NULL, NULL, &w->job.sampler), 0);
}

static void drop_work(work *w)
{
    lfm2_sampler_destroy(w->job.sampler);
}

/* What a job that was set up the same way comes to with nobody beside it. */
static void run_alone(work *w)
{
    float logits[VOCAB];
    lfm2_session *s = toy_session(w->f->m, 1, CAP_TOK, 64, 0);
    assert_int_equal(w->job.n_parts, 1);
    w->status = lfm2_generate(s, 0, w->part.ids, w->part.n_tok, w->job.sampler, &w->job.params, logits, on_token, w, &w->g);
    lfm2_session_destroy(s);
}

static void assert_same_outcome(const work *a, const work *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->g.stop, b->g.stop);
    assert_int_equal(a->g.n_tok, b->g.n_tok);
    assert_memory_equal(&a->g.sum_logprob, &b->g.sum_logprob, sizeof(double));
    assert_int_equal(a->n_ids, b->n_ids);
    assert_memory_equal(a->ids, b->ids, (size_t)a->n_ids * sizeof(int32_t));
    assert_memory_equal(a->logprobs, b->logprobs, (size_t)a->n_ids * sizeof(float));
}

static lfm2_batch *open_batch(lfm2_session *s, int32_t first_seq, int32_t n_seqs)
{
    lfm2_batch *b = NULL;
    assert_int_equal(lfm2_batch_create(s, first_seq, n_seqs, &b), 0);
    assert_int_equal(lfm2_batch_n_jobs(b), 0);
    return b;
}

static void step_to_the_end(lfm2_batch *b)
{
    int rc = 0;
    for (int n = 0; rc == 0; n++) {
        assert_true(n < 2000);
        rc = lfm2_batch_step(b);
    }
    assert_int_equal(rc, LFM2_EOF);
    assert_int_equal(lfm2_batch_n_jobs(b), 0);
}

/* n_jobs of the lot through n_seqs sequences; who finds none free waits. */
static void run_lot(fixture *f, work *lot, int32_t n_jobs, int32_t n_seqs, int32_t cap_batch)
{
    lfm2_session *s = toy_session(f->m, n_seqs + 1, CAP_TOK, cap_batch, 0);
    lfm2_batch *b = open_batch(s, 1, n_seqs);
    for (int32_t i = 0; i < n_jobs; i++) make_work(&lot[i], f, i);
    long before = f->heap.n_calls;
    for (int32_t i = 0; i < n_jobs; i++) {
        int rc = 0;
        while ((rc = lfm2_batch_submit(b, &lot[i].job)) == LFM2_AGAIN) {
            assert_int_equal(lfm2_batch_n_jobs(b), n_seqs);
            assert_int_equal(lfm2_batch_step(b) < 0, 0);
        }
        assert_int_equal(rc, 0);
    }
    step_to_the_end(b);
    assert_int_equal(f->heap.n_calls, before); /* nothing after create allocates */
    assert_int_equal(lfm2_session_n_tok(s, 0), 0); /* not one of the batch's */
    for (int32_t i = 0; i < n_jobs; i++) {
        assert_int_equal(lot[i].n_done, 1);
        drop_work(&lot[i]);
    }
    lfm2_batch_destroy(b);
    lfm2_session_destroy(s);
}

static void jobs_come_out_as_they_do_alone(void **state)
{
    (void)state;
    static const int32_t cap_batch[] = {1, 3, 7, 16, 64};
    static work alone[MAX_JOBS], lot[MAX_JOBS];
    unsigned stops = 0;
    for (int32_t i = 0; i < MAX_JOBS; i++) {
        make_work(&alone[i], &dense, i);
        run_alone(&alone[i]);
        drop_work(&alone[i]);
        stops |= 1u << alone[i].g.stop;
    }
    assert_true((stops & (1u << LFM2_STOP_EOS)) && (stops & (1u << LFM2_STOP_LENGTH)) && (stops & (1u << LFM2_STOP_LOOP)));
    for (int32_t n = 1; n <= MAX_JOBS; n += n < 4 ? 1 : 3) {
        for (size_t c = 0; c < LFM2__COUNT_OF(cap_batch); c++) {
            run_lot(&dense, lot, n, n, cap_batch[c]);
            for (int32_t i = 0; i < n; i++) assert_same_outcome(&alone[i], &lot[i]);
        }
    }
    for (int32_t n_seqs = 1; n_seqs <= 5; n_seqs++) { /* more jobs than sequences */
        run_lot(&one_thread, lot, MAX_JOBS, n_seqs, 5);
        for (int32_t i = 0; i < MAX_JOBS; i++) assert_same_outcome(&alone[i], &lot[i]);
    }
}

static void mixture_models_too(void **state)
{
    (void)state;
    static work alone, lot[MAX_JOBS];
    run_lot(&moe, lot, MAX_JOBS, 6, 11);
    for (int32_t i = 0; i < MAX_JOBS; i++) {
        make_work(&alone, &moe, i);
        run_alone(&alone);
        drop_work(&alone);
        assert_same_outcome(&alone, &lot[i]);
    }
}

static void embeddings_stand_for_ids(void **state)
{
    (void)state;
    enum { N_PARTS = 75 };
    float embed[20 * D];
    lfm2_prompt_part parts[4], single[N_PARTS];
    work alone, w;
    for (int32_t cap_batch = 1; cap_batch <= 40; cap_batch += 3) {
        make_work(&alone, &dense, 4);
        alone.part.n_tok = N_PARTS;
        alone.part.ids = dense.ids;
        alone.job.params.max_tok = 10;
        run_alone(&alone);
        for (size_t t = 0; t < 20; t++) memcpy(embed + t * D, dense.table + (size_t)dense.ids[9 + t] * D, D * sizeof(float));
        parts[0] = (lfm2_prompt_part){.n_tok = 9, .ids = dense.ids};
        parts[1] = (lfm2_prompt_part){.n_tok = 1, .embed = embed};
        parts[2] = (lfm2_prompt_part){.n_tok = 19, .embed = embed + D};
        parts[3] = (lfm2_prompt_part){.n_tok = N_PARTS - 29, .ids = dense.ids + 29};
        for (int32_t t = 0; t < N_PARTS; t++) single[t] = (lfm2_prompt_part){.n_tok = 1, .ids = dense.ids + t};
        for (int k = 0; k < 2; k++) { /* a few parts; more than a step takes */
            lfm2_session *s = toy_session(dense.m, 2, CAP_TOK, cap_batch, 0);
            lfm2_batch *b = open_batch(s, 0, 2);
            make_work(&w, &dense, 4);
            w.job.params.max_tok = 10;
            w.job.parts = k == 0 ? parts : single;
            w.job.n_parts = k == 0 ? 4 : N_PARTS;
            assert_int_equal(lfm2_batch_submit(b, &w.job), 0);
            step_to_the_end(b);
            assert_int_equal(w.g.n_tok, 10);
            if (k == 1) assert_same_outcome(&alone, &w);
            else assert_memory_equal(alone.ids, w.ids, 10 * sizeof(int32_t)); /* the penalty knows ids alone: see make_work() */
            drop_work(&w);
            lfm2_batch_destroy(b);
            lfm2_session_destroy(s);
        }
        drop_work(&alone);
    }
}

static void a_long_prompt_holds_up_nobody(void **state)
{
    (void)state;
    work quick, late, next;
    lfm2_session *s = toy_session(dense.m, 3, CAP_TOK, 8, 0);
    lfm2_batch *b = open_batch(s, 0, 3);
    make_work(&quick, &dense, 0);
    make_work(&late, &dense, 2);
    make_work(&next, &dense, 4);
    quick.job.params.max_tok = 40;
    late.part.n_tok = 70;
    late.part.ids = dense.ids;
    next.part.n_tok = 5;
    assert_int_equal(lfm2_batch_submit(b, &quick.job), 0);
    assert_int_equal(lfm2_batch_step(b), 0);
    assert_int_equal(quick.n_ids, 1);
    assert_int_equal(lfm2_batch_submit(b, &late.job), 0);
    assert_int_equal(lfm2_batch_submit(b, &next.job), 0);
    for (int32_t n = 1; n <= 9; n++) { /* 7 tokens of 70 a step */
        assert_int_equal(lfm2_batch_step(b), 0);
        assert_int_equal(quick.n_ids, 1 + n);
        assert_int_equal(lfm2_session_n_tok(s, 1), 7 * n);
        assert_int_equal(lfm2_session_n_tok(s, 2), 0);
        assert_int_equal(late.n_ids, 0);
    }
    assert_int_equal(lfm2_batch_step(b), 0);
    assert_int_equal(late.n_ids, 1);
    assert_int_equal(lfm2_batch_step(b), 0); /* 6 free places, 5 tokens */
    assert_int_equal(late.n_ids, 2);
    assert_int_equal(next.n_ids, 1);
    step_to_the_end(b);
    drop_work(&quick);
    drop_work(&late);
    drop_work(&next);
    lfm2_batch_destroy(b);
    lfm2_session_destroy(s);
}

static void a_sequence_is_continued_where_it_stands(void **state)
{
    (void)state;
    float logits[VOCAB];
    work want[3], w, other, third;
    lfm2_session *alone = toy_session(dense.m, 1, CAP_TOK, 64, 0), *s = toy_session(dense.m, 4, CAP_TOK, 9, 0);
    lfm2_batch *b = open_batch(s, 1, 3);
    for (int32_t turn = 0; turn < 3; turn++) {
        make_work(&want[turn], &dense, 0);
        make_work(&w, &dense, 0);
        make_work(&other, &dense, 6 + turn);
        want[turn].part = w.part = (lfm2_prompt_part){.n_tok = 5 + turn, .ids = dense.ids + turn};
        want[turn].job.params.max_tok = w.job.params.max_tok = 6 + turn;
        want[turn].status = lfm2_generate(alone, 0, want[turn].part.ids, want[turn].part.n_tok, want[turn].job.sampler,
                                          &want[turn].job.params, logits, on_token, &want[turn], &want[turn].g);
        w.job.seq = 2;
        assert_int_equal(lfm2_batch_submit(b, &other.job), 0);
        assert_int_equal(lfm2_batch_submit(b, &w.job), 0);
        make_work(&third, &dense, 1);
        third.job.seq = 2;
        assert_int_equal(lfm2_batch_submit(b, &third.job), LFM2_AGAIN);
        step_to_the_end(b);
        assert_int_equal(other.n_done, 1);
        assert_int_equal(third.n_done, 0);
        drop_work(&other);
        drop_work(&third);
        assert_same_outcome(&want[turn], &w);
        assert_int_equal(lfm2_session_n_tok(s, 2), lfm2_session_n_tok(alone, 0));
        drop_work(&w);
        drop_work(&want[turn]);
    }
    lfm2_batch_destroy(b);
    lfm2_session_destroy(s);
    lfm2_session_destroy(alone);
}

/* ---- one ends, others go on ---- */

/* Three jobs of which the middle one was changed by the test; the others must come out as alone. */
typedef struct trio {
    work w[3], alone[3];
    lfm2_session *s;
    lfm2_batch *b;
} trio;

static void open_trio(trio *t, fixture *f, int32_t cap_batch)
{
    t->s = toy_session(f->m, 3, CAP_TOK, cap_batch, 0);
    t->b = open_batch(t->s, 0, 3);
    for (int32_t i = 0; i < 3; i++) {
        make_work(&t->w[i], f, 8 + 2 * i);
        make_work(&t->alone[i], f, 8 + 2 * i);
        t->w[i].job.params.max_tok = t->alone[i].job.params.max_tok = 12;
        t->w[i].job.seq = i;
    }
}

static void run_trio(trio *t)
{
    for (int32_t i = 0; i < 3; i++) assert_int_equal(lfm2_batch_submit(t->b, &t->w[i].job), 0);
    step_to_the_end(t->b);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(t->w[i].n_done, 1);
        if (i == 1) continue;
        run_alone(&t->alone[i]);
        assert_same_outcome(&t->alone[i], &t->w[i]);
    }
}

static void close_trio(trio *t)
{
    for (int32_t i = 0; i < 3; i++) {
        drop_work(&t->w[i]);
        drop_work(&t->alone[i]);
    }
    lfm2_batch_destroy(t->b);
    lfm2_session_destroy(t->s);
}

static void the_callback_calls_off_its_own_job(void **state)
{
    (void)state;
    trio t;
    open_trio(&t, &dense, 16);
    t.w[1].call_off_at = 4;
    run_trio(&t);
    assert_int_equal(t.w[1].status, 0);
    assert_int_equal(t.w[1].g.stop, LFM2_STOP_ABORT);
    assert_int_equal(t.w[1].g.n_tok, 4);
    assert_int_equal(lfm2_session_n_tok(t.s, 1), t.w[1].part.n_tok + 4);
    close_trio(&t);
}

static void a_deadline_ends_its_own_job(void **state)
{
    (void)state;
    trio t;
    for (int32_t n_prompt = 2; n_prompt <= 70; n_prompt += 68) {
        open_trio(&t, &dense, 16);
        t.w[1].job.params.deadline_us = 1;
        t.w[1].part = (lfm2_prompt_part){.n_tok = n_prompt, .ids = dense.ids};
        run_trio(&t);
        assert_int_equal(t.w[1].status, 0);
        assert_int_equal(t.w[1].g.stop, LFM2_STOP_DEADLINE);
        assert_true(t.w[1].g.n_tok <= 1);
        close_trio(&t);
    }
    open_trio(&t, &dense, 16);
    t.w[1].job.params.deadline_us = INT64_MAX;
    run_trio(&t);
    assert_int_equal(t.w[1].g.stop, LFM2_STOP_LENGTH);
    close_trio(&t);
}

static void what_is_not_finite_ends_its_own_job(void **state)
{
    (void)state;
    static fixture *const fixtures[] = {&dense, &moe};
    trio t;
    float embed[3 * D];
    for (size_t k = 0; k < 2; k++) {
        for (int32_t cap_batch = 1; cap_batch <= 64; cap_batch += 21) {
            open_trio(&t, fixtures[k], cap_batch);
            memset(embed, 0, sizeof(embed));
            embed[D + 5] = NAN;
            t.w[1].part = (lfm2_prompt_part){.n_tok = 3, .embed = embed};
            run_trio(&t);
            assert_int_equal(t.w[1].status, LFM2_ERR_NONFINITE);
            assert_int_equal(t.w[1].n_ids, 0);
            assert_int_equal(lfm2_session_n_tok(t.s, 1), 0);
            assert_non_null(strstr(fixtures[k]->log.line, "sequence 1: logits are not finite"));
            close_trio(&t);
        }
    }
}

static void a_full_context_ends_its_own_job(void **state)
{
    (void)state;
    trio t;
    for (int32_t room = 0; room <= 3; room++) {
        open_trio(&t, &dense, 64);
        int32_t fill[CAP_TOK];
        for (int32_t i = 0; i < CAP_TOK; i++) fill[i] = dense.ids[i % N_IDS];
        t.w[1].part = (lfm2_prompt_part){.n_tok = CAP_TOK - room, .ids = fill};
        run_trio(&t);
        assert_int_equal(t.w[1].status, 0);
        assert_int_equal(t.w[1].g.stop, LFM2_STOP_LENGTH);
        assert_int_equal(t.w[1].g.n_tok, room);
        assert_int_equal(lfm2_session_n_tok(t.s, 1), CAP_TOK);
        close_trio(&t);
    }
}

/* ---- all end ---- */

static void the_abort_flag_ends_all(void **state)
{
    (void)state;
    trio t;
    open_trio(&t, &dense, 4);
    t.w[0].part.n_tok = 1;
    t.w[2].part = (lfm2_prompt_part){.n_tok = 70, .ids = dense.ids}; /* still read when it happens */
    t.w[0].abort_at = 3;
    for (int32_t i = 0; i < 3; i++) assert_int_equal(lfm2_batch_submit(t.b, &t.w[i].job), 0);
    step_to_the_end(t.b);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(t.w[i].n_done, 1);
        assert_int_equal(t.w[i].status, 0);
        assert_int_equal(t.w[i].g.stop, LFM2_STOP_ABORT);
        assert_int_equal(lfm2_session_n_tok(t.s, i), 0);
    }
    assert_int_equal(t.w[0].g.n_tok, 3);
    assert_int_equal(t.w[2].g.n_tok, 0);
    for (int32_t i = 0; i < 3; i++) t.w[i].n_done = t.w[i].n_ids = 0; /* the flag is still up: not a token is read */
    assert_int_equal(lfm2_batch_submit(t.b, &t.w[1].job), 0);
    step_to_the_end(t.b);
    assert_int_equal(t.w[1].g.stop, LFM2_STOP_ABORT);
    assert_int_equal(t.w[1].g.n_tok, 0);
    lfm2_runtime_clear_abort(dense.rt);
    close_trio(&t);
}

/* With its last token sampled a job is complete; the flag comes too late for it. */
static void the_abort_flag_takes_nothing_from_what_is_complete(void **state)
{
    (void)state;
    trio t;
    open_trio(&t, &dense, 64);
    t.w[0].job.params.max_tok = 3;
    for (int32_t i = 0; i < 3; i++) assert_int_equal(lfm2_batch_submit(t.b, &t.w[i].job), 0);
    for (int n = 0; n < 3; n++) assert_int_equal(lfm2_batch_step(t.b), 0);
    assert_int_equal(t.w[0].n_ids, 3);
    assert_int_equal(t.w[0].n_done, 0);
    lfm2_runtime_abort(dense.rt);
    assert_int_equal(lfm2_batch_step(t.b), LFM2_EOF);
    assert_int_equal(t.w[0].g.stop, LFM2_STOP_LENGTH);
    assert_int_equal(t.w[1].g.stop, LFM2_STOP_ABORT);
    lfm2_runtime_clear_abort(dense.rt);
    close_trio(&t);
}

static void a_file_cut_short_fails_all(void **state)
{
    (void)state;
    static toy m;
    char dir[64], path[96];
    fixture f = {.rt = NULL};
    trio t;
    f.rt = toy_runtime(1, 0, &f.heap, &f.log);
    toy_init(&m, &TOY_DENSE);
    make_folder(dir, sizeof(dir));
    toy_save_with_config(f.rt, &m, dir);
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    assert_int_equal(lfm2_model_load(f.rt, dir, &f.m), 0);
    toy_ids(f.ids, N_IDS, VOCAB, 1);
    open_trio(&t, &f, 16);
    float embed[D] = {1}; /* rows of our own: those of the file may lie beyond its new end */
    for (int32_t i = 0; i < 3; i++) {
        t.w[i].part = (lfm2_prompt_part){.n_tok = 1, .embed = embed};
        assert_int_equal(lfm2_batch_submit(t.b, &t.w[i].job), 0);
    }
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(lfm2_batch_step(t.b), LFM2_ERR_IO);
    assert_int_equal(lfm2_batch_n_jobs(t.b), 0);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(t.w[i].n_done, 1);
        assert_int_equal(t.w[i].status, LFM2_ERR_IO);
        assert_int_equal(lfm2_session_n_tok(t.s, i), 0);
    }
    assert_int_equal(lfm2_batch_step(t.b), LFM2_EOF);
    close_trio(&t);
    lfm2_model_unload(f.m);
    remove_folder(dir);
    toy_fini(&m);
    lfm2_runtime_destroy(f.rt);
}

/* ---- refusals ---- */

static void bad_jobs_are_refused(void **state)
{
    (void)state;
    trio t;
    float embed[D] = {0};
    open_trio(&t, &dense, 16);
    lfm2_job good = t.w[0].job, job = good;
    lfm2_prompt_part part[2] = {{.n_tok = 4, .ids = dense.ids}, {.n_tok = 1, .embed = embed}};
    good.parts = part;
    good.n_parts = 2;
    assert_int_equal(lfm2_batch_submit(NULL, &good), LFM2_ERR_ARG);
    assert_int_equal(lfm2_batch_submit(t.b, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_batch_step(NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_batch_n_jobs(NULL), 0);
#define BAD(status, named, change)                                              \
    do {                                                                        \
        job = good;                                                             \
        part[1] = (lfm2_prompt_part){.n_tok = 1, .embed = embed};               \
        change;                                                                 \
        assert_int_equal(lfm2_batch_submit(t.b, &job), status);                 \
        assert_non_null(strstr(dense.log.line, named));                         \
        assert_int_equal(lfm2_batch_n_jobs(t.b), 0);                            \
    } while (0)
    BAD(LFM2_ERR_ARG, "no sequence 3", job.seq = 3);
    BAD(LFM2_ERR_ARG, "no sequence -2", job.seq = -2);
    BAD(LFM2_ERR_ARG, "no sampler", job.sampler = NULL);
    BAD(LFM2_ERR_ARG, "empty", job.parts = NULL);
    BAD(LFM2_ERR_ARG, "empty", job.n_parts = 0);
    BAD(LFM2_ERR_ARG, "empty", job.n_parts = -1);
    BAD(LFM2_ERR_ARG, "part 1", part[1].n_tok = 0);
    BAD(LFM2_ERR_ARG, "part 1", part[1].embed = NULL);
    BAD(LFM2_ERR_ARG, "part 1", part[1].ids = dense.ids);
    int32_t bad_id = VOCAB;
    BAD(LFM2_ERR_ARG, "place 4", part[1] = ((lfm2_prompt_part){.n_tok = 1, .ids = &bad_id}));
    bad_id = -1;
    BAD(LFM2_ERR_ARG, "place 4", part[1] = ((lfm2_prompt_part){.n_tok = 1, .ids = &bad_id}));
    BAD(LFM2_ERR_ARG, "max_tok", job.params.max_tok = 0);
    BAD(LFM2_ERR_RANGE, "104 tokens, but the context has room for 96", part[1].n_tok = 100);
    BAD(LFM2_ERR_RANGE, "2147483651 tokens", part[1].n_tok = INT32_MAX);
#undef BAD
    part[1].n_tok = 1;
    int32_t held[2] = {1, 2};
    lfm2_span span = {.seq = 1, .n_tok = 2, .ids = held};
    assert_int_equal(lfm2_session_forward(t.s, &span, 1, NULL, 0), 0);
    lfm2_prompt_part whole = {.n_tok = CAP_TOK - 1, .embed = embed};
    job = good;
    job.seq = 1;
    job.parts = &whole;
    job.n_parts = 1;
    assert_int_equal(lfm2_batch_submit(t.b, &job), LFM2_ERR_RANGE); /* what the sequence holds already counts */
    assert_int_equal(lfm2_session_n_tok(t.s, 1), 2);
    assert_int_equal(lfm2_batch_submit(t.b, &good), 0);
    job = good;
    job.seq = 2;
    assert_int_equal(lfm2_batch_submit(t.b, &job), LFM2_ERR_ARG); /* its sampler is lent */
    assert_non_null(strstr(dense.log.line, "sampler"));
    assert_int_equal(lfm2_batch_n_jobs(t.b), 1);
    t.w[0].b = t.b; /* calls from within fn */
    step_to_the_end(t.b);
    assert_int_equal(t.w[0].n_done, 1);
    close_trio(&t);
}

static void a_batch_of_sequences_that_are_not_there_is_refused(void **state)
{
    (void)state;
    static const struct {
        int32_t first_seq, n_seqs;
    } bad[] = {{-1, 1}, {0, 0}, {0, -1}, {0, 4}, {3, 1}, {1, 3}, {INT32_MAX, 1}, {0, INT32_MAX}, {1, INT32_MAX}, {INT32_MIN, 2}};
    lfm2_session *s = toy_session(dense.m, 3, CAP_TOK, 8, 0);
    lfm2_batch *b = NULL;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(lfm2_batch_create(s, bad[i].first_seq, bad[i].n_seqs, &b), LFM2_ERR_ARG);
        assert_non_null(strstr(dense.log.line, "sequences"));
    }
    assert_int_equal(lfm2_batch_create(NULL, 0, 1, &b), LFM2_ERR_ARG);
    assert_int_equal(lfm2_batch_create(s, 0, 1, NULL), LFM2_ERR_ARG);
    assert_null(b);
    for (long k = 0; test_fail_next(&dense.heap, &k);) {
        int rc = lfm2_batch_create(s, 0, 3, &b);
        if (!test_has_failed(&dense.heap)) assert_int_equal(rc, 0);
        else assert_int_equal(rc, LFM2_ERR_NOMEM);
        if (rc == 0) lfm2_batch_destroy(b);
        b = NULL;
    }
    lfm2_batch_destroy(NULL);
    lfm2_session_destroy(s);
}

static void jobs_under_way_are_forgotten_with_the_batch(void **state)
{
    (void)state;
    trio t;
    open_trio(&t, &dense, 8);
    for (int32_t i = 0; i < 3; i++) assert_int_equal(lfm2_batch_submit(t.b, &t.w[i].job), 0);
    assert_int_equal(lfm2_batch_step(t.b), 0);
    lfm2_batch_destroy(t.b);
    for (int32_t i = 0; i < 3; i++) assert_int_equal(t.w[i].n_done, 0);
    t.b = NULL;
    close_trio(&t);
}

static void callbacks_may_be_missing(void **state)
{
    (void)state;
    trio t;
    open_trio(&t, &dense, 8);
    t.w[1].job.fn = NULL;
    t.w[1].job.done = NULL;
    for (int32_t i = 0; i < 3; i++) assert_int_equal(lfm2_batch_submit(t.b, &t.w[i].job), 0);
    step_to_the_end(t.b);
    assert_int_equal(lfm2_session_n_tok(t.s, 1), t.w[1].part.n_tok + 12);
    close_trio(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_out_as_they_do_alone),
        cmocka_unit_test(mixture_models_too),
        cmocka_unit_test(embeddings_stand_for_ids),
        cmocka_unit_test(a_long_prompt_holds_up_nobody),
        cmocka_unit_test(a_sequence_is_continued_where_it_stands),
        cmocka_unit_test(the_callback_calls_off_its_own_job),
        cmocka_unit_test(a_deadline_ends_its_own_job),
        cmocka_unit_test(what_is_not_finite_ends_its_own_job),
        cmocka_unit_test(a_full_context_ends_its_own_job),
        cmocka_unit_test(the_abort_flag_ends_all),
        cmocka_unit_test(the_abort_flag_takes_nothing_from_what_is_complete),
        cmocka_unit_test(a_file_cut_short_fails_all),
        cmocka_unit_test(bad_jobs_are_refused),
        cmocka_unit_test(a_batch_of_sequences_that_are_not_there_is_refused),
        cmocka_unit_test(jobs_under_way_are_forgotten_with_the_batch),
        cmocka_unit_test(callbacks_may_be_missing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
