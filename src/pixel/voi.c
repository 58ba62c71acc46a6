/* voi: windows (PS3.3 C.11.2.1.2): the functions LINEAR, LINEAR_EXACT and SIGMOID, as fractions 0..1 of the output range. */
#include "display.h"

#include <math.h>

int pixel_window_check(const pixel_window *w, gn_error *e) {
    double least = w->function == PIXEL_VOI_LINEAR ? 1 : 0;
    if (!isfinite(w->center) || !isfinite(w->width) || w->width < least || w->width <= 0)
        return gn_fail(e, GN_E_INVALID, "a window of center %g and width %g", w->center, w->width);
    return 0;
}

double pixel_window_apply(const pixel_window *w, double x) {
    double y;
    if (w->function == PIXEL_VOI_SIGMOID) return 1 / (1 + exp(-4 * (x - w->center) / w->width));
    if (w->function == PIXEL_VOI_LINEAR_EXACT) y = (x - w->center) / w->width + 0.5;
    else if (w->width > 1) y = (x - (w->center - 0.5)) / (w->width - 1) + 0.5;
    else y = x <= w->center - 0.5 ? 0 : 1;
    return y > 0 ? y < 1 ? y : 1 : 0; /* NaN, of a float image, is black */
}
