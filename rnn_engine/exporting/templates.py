"""C text, with @places@ that `source` fills in."""

HEADER = """\
/* @NAME@: a recurrent network as C, made by rnn_engine.
 *
@LAYERS@
 *
 * @ABOUT@
 *
 * Link with lib@NAME@.a or lib@NAME@.so; nothing else is needed, libm neither. All numbers are
 * float32, rows one behind the other. The results are those of `model.predict`, bit by bit, also
 * when a sequence is cut anywhere. Nothing is allocated, no global variable is written: any number
 * of states may be in use, in as many threads, as long as a state is in one call at a time.
 *
 *     @NAME@_state state;                      or @NAME@_STATE_SIZE bytes for doubles
 *     @NAME@_init(&state);
 *     for (;;) @NAME@_process(&state, x, 64, y);
 */
#ifndef RNN_ENGINE_@NAME@_H
#define RNN_ENGINE_@NAME@_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @NAME@_FEATURES @FEATURES@
#define @NAME@_OUTPUTS @OUTPUTS@
#define @NAME@_STATE_SIZE @SIZE@

/* Where a sequence is. It may be copied and moved as any struct. Alignment to a cache line is
 * welcome, but not needed. */
typedef struct @NAME@_state {
    double memory[@NAME@_STATE_SIZE / 8];
} @NAME@_state;

/* Return @NAME@_STATE_SIZE, as the library has it. */
size_t @NAME@_state_size(void);

/* Numbers of a step: @NAME@_FEATURES in, @NAME@_OUTPUTS out. */
size_t @NAME@_features(void);
size_t @NAME@_outputs(void);

/* Prepare a state for a first sequence; needed once, before any other use of it. */
void @NAME@_init(@NAME@_state *state);

/* Begin a new sequence, as predict does: all recurrent states are zeros again. */
void @NAME@_reset(@NAME@_state *state);

/* Take one step: read x (@NAME@_FEATURES numbers), write y (@NAME@_OUTPUTS numbers), the output
 * of the model for the sequence so far. */
void @NAME@_step(@NAME@_state *state, const float *x, float *y);

/* Take some steps: x has steps * features numbers; y gets @PROCESS@.
 * With 0 steps nothing is done. x and y may be the same array if a step has no more outputs than
 * features; else they must not overlap. Goes on where the call before has ended. */
void @NAME@_process(@NAME@_state *state, const float *x, size_t steps, float *y);

/* Run whole sequences, each from zeros: x is (batch, steps, features), y gets @PREDICTED@.
 * Row by row, in a state of its own: it takes about @STACK@ KiB of stack. x and y must not
 * overlap; steps is at least 1. */
void @NAME@_predict(const float *x, size_t batch, size_t steps, float *y);

#ifdef __cplusplus
}
#endif

#endif
"""

SOURCE = """\
/* @NAME@: what lies between its header and the kernels of rnn_engine.
 *
@LAYERS@
 *
 * @ABOUT@
 */
#include "@NAME@.h"

#include <stdint.h>
#include <string.h>

#define API __attribute__((visibility("default")))

/* Steps that are computed together at most. */
enum { STEPS = @STEPS@ };

/* --- the engine ------------------------------------------------------------------- */

/* Places in the plan of a recurrent layer: see rnn_engine/kernels/recurrent/places.py. */
enum {
@PLACES@
};

typedef void body(int64_t *plan, const float *like, int64_t task);
typedef void part(int64_t *plan, int64_t *frame, const float *like, int64_t stage);
typedef void step(int64_t *frame, const float *like, int64_t low, int64_t high);
typedef void epilogue(int64_t op, int64_t rows, int64_t columns, float *out, int64_t out_row,
                      float *aux, int64_t aux_row);

@DECLARED@

/* The activations, by their code, for the matrix product. */
epilogue *const rnn_engine_finish_float32[] = {@EPILOGUES@};

/* --- the weights ------------------------------------------------------------------ */

__asm__(".section .rodata\\n"
        ".balign 64\\n"
        ".local @NAME@_weights\\n"
        "@NAME@_weights:\\n"
        ".incbin \\"@NAME@_weights.bin\\"\\n"
        ".previous\\n");
extern const unsigned char weights[] __asm__("@NAME@_weights");

/* --- the state -------------------------------------------------------------------- */

struct state {
    int64_t started; /* whether a step has been taken since the reset */
    int64_t unused[7];
@FIELDS@
};

typedef char the_size_in_the_header_is_right[sizeof(struct state) == @NAME@_STATE_SIZE ? 1 : -1];

/* --- the layers ------------------------------------------------------------------- */

@FUNCTIONS@
@TABLES@

/* All layers up to the last one that sees every step; n <= STEPS. */
static const float *front(struct state *s, const float *v0, int64_t n)
{
    @FRONT@
    s->started = 1;
    (void)n;
    return v@TURN@;
}

/* The layers behind a recurrent one that returns its last output only. */
static const float *back(struct state *s, const float *v@TURN@)
{
    const int64_t n = 1;
    @BACK@
    (void)s, (void)n;
    return v@END@;
}

/* --- what the header declares ------------------------------------------------------- */

API size_t @NAME@_state_size(void) { return @NAME@_STATE_SIZE; }
API size_t @NAME@_features(void) { return @NAME@_FEATURES; }
API size_t @NAME@_outputs(void) { return @NAME@_OUTPUTS; }

API void @NAME@_reset(@NAME@_state *state)
{
    struct state *s = (struct state *)state;
    s->started = 0;
    @RESETS@
}

API void @NAME@_init(@NAME@_state *state)
{
    struct state *s = (struct state *)state;
    memset(s, 0, sizeof *s);
    @STARTS@
    @NAME@_reset(state);
}

API void @NAME@_step(@NAME@_state *state, const float *x, float *y)
{
    struct state *s = (struct state *)state;
    memmove(y, back(s, front(s, x, 1)), @NAME@_OUTPUTS * sizeof *y);
}

API void @NAME@_process(@NAME@_state *state, const float *x, size_t steps, float *y)
{
    struct state *s = (struct state *)state;
    const float *v = 0;
    while (steps > 0) {
        const size_t n = steps < STEPS ? steps : STEPS;
        v = front(s, x, (int64_t)n);
#if !@COLLAPSES@
        memmove(y, v, n * @NAME@_OUTPUTS * sizeof *y);
        y += n * @NAME@_OUTPUTS;
#endif
        x += n * @NAME@_FEATURES;
        steps -= n;
    }
#if @COLLAPSES@
    if (v)
        memcpy(y, back(s, v), @NAME@_OUTPUTS * sizeof *y);
#endif
}

API void @NAME@_predict(const float *x, size_t batch, size_t steps, float *y)
{
    @NAME@_state state;
    @NAME@_init(&state);
    for (size_t row = 0; row < batch; row++) {
        @NAME@_reset(&state);
        @NAME@_process(&state, x, steps, y);
        x += steps * @NAME@_FEATURES;
        y += (@COLLAPSES@ ? 1 : steps) * @NAME@_OUTPUTS;
    }
}
"""

HELPERS = {
    "product": """\
void engine_gemm_two(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *panel, int64_t b_k, const float *b, int64_t b_row,
                     const float *b_panel, const float *init, int64_t init_row, float *out,
                     int64_t out_row, int64_t add, int64_t op, float *aux, int64_t aux_row);""",
    "denormals": """\
#if defined(__x86_64__)
#include <xmmintrin.h>
/* Numbers too small to be normal count as zero, as they do in the engine. */
static unsigned flush_denormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
static void restore(unsigned mode) { _mm_setcsr(mode); }
#else
static unsigned flush_denormals(void) { return 0; }
static void restore(unsigned mode) { (void)mode; }
#endif
""",
}

_OF_TWO = """\
static const float *@KIND@(const float *a, const float *b, int64_t n, int64_t size, float *out)
{
    for (int64_t i = 0; i < n * size; i++)
        out[i] = a[i] @SIGN@ b[i];
    return out;
}
"""

FUNCTIONS = {
    **{
        kind: _OF_TWO.replace("@KIND@", kind).replace("@SIGN@", sign)
        for kind, sign in (("add", "+"), ("subtract", "-"), ("multiply", "*"))
    },
    "concatenate": """\
static const float *concatenate(const float *a, const float *b, int64_t n, int64_t size,
                                int64_t left, int64_t right, float *out)
{
    for (int64_t t = 0; t < n; t++) {
        memcpy(out + t * size, a + t * left, (size_t)left * sizeof *a);
        memcpy(out + t * size + left, b + t * right, (size_t)right * sizeof *b);
    }
    return out;
}
""",
    "recurrent": """\
static const int64_t bounds[2] = {0, 1};

static int64_t address(const void *pointer) { return (int64_t)(intptr_t)pointer; }
#define address_of(function) ((int64_t)(intptr_t)(function))

/* Take n steps: states in and out, all outputs, behind the first state, to out. Inputs of several
 * steps are multiplied by their weights at once, those of a single one, too, where the walk has
 * them `before`. */
static void recurrent(body *walk, int64_t before, int64_t *plan, int64_t started, int64_t n,
                      const float *x, const float *packed, float *states, float *scratch,
                      float *out)
{
    plan[P_STARTED] = started;
    plan[P_STOP] = n;
    plan[P_CHUNK] = n > 1 ? n : before;
    plan[P_BOUNDS] = address(bounds);
    plan[P_X] = address(x);
    plan[P_WEIGHTS] = address(packed);
    plan[P_START] = plan[P_LAST] = address(states);
    plan[P_SCRATCH] = address(scratch);
    plan[P_STATE] = address(out);
    walk(plan, 0, 0);
}
""",
    "dense": """\
static const float *dense(const float *x, int64_t n, int64_t features, int64_t units,
                          const float *panels, int64_t bias, int64_t act, float *out)
{
    const unsigned mode = flush_denormals();
    engine_gemm_two(n, units, features, x, features, 1, panels, 0, x, 0, panels, panels + bias, 0,
                    out, units, 0, act, out, 0);
    restore(mode);
    return out;
}
""",
    "convolution": """\
typedef struct {
    int64_t features, filters, taps, dilation, groups, panels, act;
} convolution_sizes;

/* line holds the inputs that the next steps still see, and n new ones behind them. */
static const float *convolution(const convolution_sizes *is, const float *x, int64_t n,
                                const float *panels, const float *bias, float *line,
                                float *gathered, float *out)
{
    const int64_t window = (is->taps - 1) * is->dilation, in = is->features / is->groups;
    const int64_t columns = is->filters / is->groups, k = is->taps * in;
    const unsigned mode = flush_denormals();
    memcpy(line + window * is->features, x, (size_t)(n * is->features) * sizeof *x);
    for (int64_t g = 0; g < is->groups; g++) {
        for (int64_t t = 0; t < n; t++)
            for (int64_t j = 0; j < is->taps; j++)
                memcpy(gathered + t * k + j * in,
                       line + (t + j * is->dilation) * is->features + g * in,
                       (size_t)in * sizeof *x);
        engine_gemm_two(n, columns, k, gathered, k, 1, panels + g * is->panels, 0, gathered, 0,
                        panels, bias + g * columns, 0, out + g * columns, is->filters, 0, is->act,
                        out, 0);
    }
    memmove(line, line + n * is->features, (size_t)(window * is->features) * sizeof *x);
    restore(mode);
    return out;
}
""",
    "finish": """\
static const float *finish(const float *x, int64_t n, int64_t size, int64_t code, float *out)
{
    memcpy(out, x, (size_t)(n * size) * sizeof *x);
    rnn_engine_finish_float32[code](code, 1, n * size, out, n * size, out, 0);
    return out;
}
""",
    "softmax": """\
/* In sixteen lanes that are joined in order, sums in double. */
__attribute__((noinline)) static void softmax_row(const float *x, int64_t size, int64_t exp,
                                                  float *out)
{
    float most[16], top;
    double sums[16] = {0}, total;
    for (int64_t lane = 0; lane < 16; lane++)
        most[lane] = x[0];
    for (int64_t j = 0; j < size; j++)
        most[j % 16] = x[j] > most[j % 16] ? x[j] : most[j % 16];
    top = most[0];
    for (int64_t lane = 1; lane < 16; lane++)
        top = most[lane] > top ? most[lane] : top;
    for (int64_t j = 0; j < size; j++)
        out[j] = x[j] - top;
    rnn_engine_finish_float32[exp](exp, 1, size, out, size, out, 0);
    for (int64_t j = 0; j < size; j++)
        sums[j % 16] += (double)out[j];
    total = sums[0];
    for (int64_t lane = 1; lane < 16; lane++)
        total += sums[lane];
    total = 1.0 / total;
    for (int64_t j = 0; j < size; j++)
        out[j] = (float)((double)out[j] * total);
}

static const float *softmax(const float *x, int64_t n, int64_t size, int64_t exp, float *out)
{
    const unsigned mode = flush_denormals();
    for (int64_t t = 0; t < n; t++)
        softmax_row(x + t * size, size, exp, out + t * size);
    restore(mode);
    return out;
}
""",
    "affine": """\
static const float *affine(const float *x, int64_t n, int64_t size, const double *shift,
                           const double *factor, const double *offset, float *out)
{
    for (int64_t t = 0; t < n; t++)
        for (int64_t j = 0; j < size; j++)
            out[t * size + j] =
                (float)(((double)x[t * size + j] - shift[j]) * factor[j] + offset[j]);
    return out;
}
""",
    "normalize": """\
/* Mean and variance of a row in sixteen lanes that are joined in order, in double. */
static const float *normalize(const float *x, int64_t n, int64_t size, double epsilon,
                              const float *gamma, const float *beta, float *out)
{
    for (int64_t t = 0; t < n; t++, x += size) {
        double lanes[16] = {0}, mean = 0.0, variance = 0.0;
        for (int64_t j = 0; j < size; j++)
            lanes[j % 16] += (double)x[j];
        for (int64_t lane = 0; lane < 16; lane++)
            mean += lanes[lane];
        mean /= (double)size;
        memset(lanes, 0, sizeof lanes);
        for (int64_t j = 0; j < size; j++)
            lanes[j % 16] += ((double)x[j] - mean) * ((double)x[j] - mean);
        for (int64_t lane = 0; lane < 16; lane++)
            variance += lanes[lane];
        variance = 1.0 / __builtin_sqrt(variance / (double)size + epsilon);
        for (int64_t j = 0; j < size; j++)
            out[t * size + j] =
                (float)(((double)x[j] - mean) * variance * (double)gamma[j] + (double)beta[j]);
    }
    return out;
}
""",
    "rescale": """\
static const float *rescale(const float *x, int64_t n, int64_t size, const float *scale,
                            const float *offset, float *out)
{
    for (int64_t t = 0; t < n; t++)
        for (int64_t j = 0; j < size; j++)
            out[t * size + j] = x[t * size + j] * scale[j] + offset[j];
    return out;
}
""",
    "leaky": """\
static const float *leaky(const float *x, int64_t n, int64_t size, double slope, float *out)
{
    for (int64_t i = 0; i < n * size; i++)
        out[i] = x[i] > 0.0f ? x[i] : (float)slope * x[i];
    return out;
}
""",
    "relu": """\
static const float *relu(const float *x, int64_t n, int64_t size, double slope, double most,
                         float *out)
{
    for (int64_t i = 0; i < n * size; i++) {
        float y = x[i] < 0.0f ? 0.0f : x[i];
        y = y > (float)most ? (float)most : y;
        out[i] = slope != 0.0 ? y - (float)slope * (x[i] < 0.0f ? 0.0f - x[i] : 0.0f) : y;
    }
    return out;
}
""",
    "parametric": """\
static const float *parametric(const float *x, int64_t n, int64_t size, const float *slopes,
                               float *out)
{
    for (int64_t t = 0; t < n; t++)
        for (int64_t j = 0; j < size; j++) {
            const float v = x[t * size + j];
            out[t * size + j] = (v < 0.0f ? 0.0f : v) - slopes[j] * (v < 0.0f ? -v : 0.0f);
        }
    return out;
}
""",
}
