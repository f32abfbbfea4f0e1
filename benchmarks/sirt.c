/* SIRT with the loop of hebt/_kernels.py in plain C, for one thread: what a compiler makes of it.
 *
 * Only a yardstick for benchmarks/run.py, which compiles it with the system's compiler. Arrays hold
 * the slices along their last axis: x is (size * size, columns), p and wx (tilts, size, columns).
 */
#include <math.h>
#include <string.h>

#define TILE 28
#define ROOM 32
#define BLOCK 256
#define EDGE 1e-9

typedef struct {
    double extent;
    float high, low, narrow, inv_narrow, inv_wide;
} shape_t;

static inline shape_t footprint(double c, double s)
{
    double a = fabs(c), b = fabs(s), narrow = fmin(a, b), wide = fmax(a, b);
    shape_t f = {0.5 * (a + b), 0.5 * (a + b), 0.5 * (wide - narrow), narrow,
                 1.0 / fmax(narrow, 1e-30), 1.0 / wide};
    return f;
}

static inline float shadow(float u, const shape_t *f)
{
    float rise = fminf(fmaxf(u + f->high, 0), f->narrow);
    float flat = fminf(fmaxf(u + f->low, 0), 2 * f->low);
    float fall = fminf(fmaxf(u - f->low, 0), f->narrow);
    return f->inv_wide * (flat + fall + 0.5f * f->inv_narrow * (rise * rise - fall * fall));
}

static inline void weigh_bins(float w[4][ROOM], int *begin, double t, double step, int length,
                              int bin0, int taps, const shape_t *f)
{
    float offset[ROOM];
    double reach = 0.5 + f->extent - EDGE, last = length > taps ? length - taps : 0;
    for (int k = 0; k < ROOM; k++) {
        double d = bin0 + k, first = fmin(fmax(ceil((d - reach - t) / step), 0), last);
        begin[k] = (int)first;
        offset[k] = (float)(t + first * step - d);
    }
    for (int q = 0; q < taps; q++)
        for (int k = 0; k < ROOM; k++) {
            float u = offset[k] + (float)(q * step);
            w[q][k] = q < length ? shadow(0.5f - u, f) - shadow(-0.5f - u, f) : 0;
        }
}

static inline void weigh_pixels(float w[3][ROOM], int *begin, double t, double step, int size,
                                const shape_t *f)
{
    float offset[ROOM];
    double last = size > 3 ? size - 3 : 0;
    for (int k = 0; k < ROOM; k++) {
        double u = t + k * step;
        double d = fmin(fmax(ceil(u - f->extent + EDGE - 0.5), 0), last);
        begin[k] = (int)d;
        offset[k] = (float)(d - u);
    }
    for (int q = 0; q < 3; q++)
        for (int k = 0; k < ROOM; k++) {
            float u = offset[k] + q;
            w[q][k] = q < size ? shadow(u + 0.5f, f) - shadow(u - 0.5f, f) : 0;
        }
}

/* to += sum of n weighted vectors */
#define ADD(n)                                                                                    \
    static inline void add##n(float *restrict to, const float *restrict const *from,              \
                              const float *w, int count)                                          \
    {                                                                                             \
        const float *restrict v[n];                                                               \
        for (int k = 0; k < n; k++) v[k] = from[k];                                               \
        for (int m = 0; m < count; m++) {                                                         \
            float total = to[m];                                                                  \
            for (int k = 0; k < n; k++) total += w[k] * v[k][m];                                  \
            to[m] = total;                                                                        \
        }                                                                                         \
    }
ADD(4)
ADD(6)
ADD(8)

static void forward(const float *x, float *p, const double *cosines, const double *sines, int tilts,
                    int size, long columns, int first, int count)
{
    float w[2][4][ROOM];
    int begin[2][ROOM];
    double half = 0.5 * (size - 1);
    for (long i = 0; i < (long)tilts * size; i++)
        memset(p + i * columns + first, 0, count * sizeof(float));
    for (int row = 0; row < size; row += TILE)
        for (int column = 0; column < size; column += TILE) {
            int rows = size - row < TILE ? size - row : TILE;
            int cols = size - column < TILE ? size - column : TILE;
            for (int a = 0; a < tilts; a++) {
                double c = cosines[a], s = sines[a], line_t, step;
                shape_t f = footprint(c, s);
                int lines, length;
                long line_pixel, step_pixel, pixel = (long)row * size + column;
                double t0 = half + (column - half) * c + (half - row) * s;
                if (fabs(c) >= fabs(s)) {
                    lines = rows, length = cols;
                    line_t = -s, line_pixel = size, step = c, step_pixel = 1;
                } else {
                    lines = cols, length = rows;
                    line_t = c, line_pixel = 1, step = -s, step_pixel = size;
                }
                if (step < 0) {
                    t0 += (length - 1) * step;
                    pixel += (length - 1) * step_pixel;
                    step = -step, step_pixel = -step_pixel;
                }
                double reach = 0.5 + f.extent - EDGE;
                int taps = (int)(2 * reach / step) + 1;
                for (int line = 0; line < lines; line += 2) {
                    double t[2] = {t0 + line * line_t, t0 + (line + 1) * line_t};
                    const float *at[2];
                    at[0] = x + (pixel + line * line_pixel) * columns + first;
                    at[1] = at[0] + line_pixel * columns;
                    int bin0 = (int)fmax(0, ceil(fmin(t[0], t[1]) - reach));
                    int bin1 = (int)fmin(
                        size - 1, floor(fmax(t[0], t[1]) + (length - 1) * step + reach));
                    weigh_bins(w[0], begin[0], t[0], step, length, bin0, taps, &f);
                    if (line + 1 < lines)
                        weigh_bins(w[1], begin[1], t[1], step, length, bin0, taps, &f);
                    else {
                        at[1] = at[0];
                        memset(w[1], 0, sizeof w[1]);
                        memcpy(begin[1], begin[0], sizeof begin[0]);
                    }
                    int used = taps < 2 ? 2 : taps;
                    for (int k = 0; k <= bin1 - bin0; k++) {
                        const float *restrict from[8];
                        float by[8];
                        for (int l = 0; l < 2; l++)
                            for (int q = 0; q < used; q++) {
                                int n = q < length ? q : length - 1;
                                from[l * used + q] =
                                    at[l] + (begin[l][k] + n) * step_pixel * columns;
                                by[l * used + q] = w[l][q][k];
                            }
                        float *to = p + ((long)a * size + bin0 + k) * columns + first;
                        if (used == 2)
                            add4(to, from, by, count);
                        else if (used == 3)
                            add6(to, from, by, count);
                        else
                            add8(to, from, by, count);
                    }
                }
            }
        }
}

static void backward_and_step(const float *p, float *x, const float *inverse_sums,
                              const double *cosines, const double *sines, int tilts, int size,
                              long columns, int first, int count)
{
    static float tile[TILE * TILE * BLOCK] __attribute__((aligned(64)));
    float w[2][3][ROOM];
    int begin[2][ROOM];
    double half = 0.5 * (size - 1);
    for (int row = 0; row < size; row += TILE)
        for (int column = 0; column < size; column += TILE) {
            int rows = size - row < TILE ? size - row : TILE;
            int cols = size - column < TILE ? size - column : TILE;
            memset(tile, 0, sizeof(float) * rows * cols * count);
            for (int a = 0; a < tilts; a += 2) {
                int pair = a + 1 < tilts, b = pair ? a + 1 : a;
                double c = cosines[a], s = sines[a], c2 = cosines[b], s2 = sines[b];
                shape_t f = footprint(c, s), f2 = footprint(c2, s2);
                for (int i = 0; i < rows; i++) {
                    double t = half + (column - half) * c + (half - row - i) * s;
                    double t2 = half + (column - half) * c2 + (half - row - i) * s2;
                    weigh_pixels(w[0], begin[0], t, c, size, &f);
                    weigh_pixels(w[1], begin[1], t2, c2, size, &f2);
                    if (!pair) memset(w[1], 0, sizeof w[1]);
                    for (int k = 0; k < cols; k++) {
                        const float *restrict from[6];
                        float by[6];
                        for (int l = 0; l < 2; l++)
                            for (int q = 0; q < 3; q++) {
                                long bin = begin[l][k] + (q < size ? q : size - 1);
                                from[3 * l + q] =
                                    p + ((long)(l ? b : a) * size + bin) * columns + first;
                                by[3 * l + q] = w[l][q][k];
                            }
                        add6(tile + (i * cols + k) * count, from, by, count);
                    }
                }
            }
            for (int i = 0; i < rows; i++)
                for (int k = 0; k < cols; k++) {
                    long pixel = (long)(row + i) * size + column + k;
                    float *restrict to = x + pixel * columns + first;
                    const float *restrict from = tile + (i * cols + k) * count;
                    float scale = inverse_sums[pixel];
                    for (int m = 0; m < count; m++) to[m] = fmaxf(to[m] + scale * from[m], 0);
                }
        }
}

/* Iterations of SIRT from x. */
void sirt(float *x, float *wx, const float *p, const float *inverse_rows,
          const float *inverse_columns, const double *cosines, const double *sines, int tilts,
          int size, long columns, int iterations)
{
    for (int n = 0; n < iterations; n++)
        for (int first = 0; first < columns; first += BLOCK) {
            int count = columns - first < BLOCK ? columns - first : BLOCK;
            forward(x, wx, cosines, sines, tilts, size, columns, first, count);
            for (long i = 0; i < (long)tilts * size; i++) {
                float *restrict to = wx + i * columns + first;
                const float *restrict from = p + i * columns + first;
                for (int m = 0; m < count; m++) to[m] = inverse_rows[i] * (from[m] - to[m]);
            }
            backward_and_step(wx, x, inverse_columns, cosines, sines, tilts, size, columns, first,
                              count);
        }
}
