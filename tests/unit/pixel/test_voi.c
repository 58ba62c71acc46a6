/* test_voi: the window functions at the points that PS3.3 C.11.2.1.2 gives, and windows that are none (T11). */
#include "check.h"
#include "display.h"

#include <math.h>

static bool near(double a, double b) { return fabs(a - b) < 1e-9; }

TEST(linear_follows_the_formula_of_the_standard) {
    pixel_window w = { 2048, 4096, PIXEL_VOI_LINEAR };
    CHECK(near(pixel_window_apply(&w, -0.5), 0) || pixel_window_apply(&w, 0) < 1e-9);
    CHECK(near(pixel_window_apply(&w, 0), 0));
    CHECK(near(pixel_window_apply(&w, 4095), 1));
    CHECK(near(pixel_window_apply(&w, 2047.5), 0.5));
    w = (pixel_window){ 0, 1, PIXEL_VOI_LINEAR }; /* a threshold: x <= c - 0.5 */
    CHECK(near(pixel_window_apply(&w, -0.5), 0));
    CHECK(near(pixel_window_apply(&w, -0.4), 1));
    w = (pixel_window){ 0, 100, PIXEL_VOI_LINEAR };
    CHECK(near(pixel_window_apply(&w, -50), 0) && near(pixel_window_apply(&w, 49), 1));
    CHECK(near(pixel_window_apply(&w, -1e9), 0) && near(pixel_window_apply(&w, 1e9), 1));
}

TEST(linear_exact) {
    pixel_window w = { 0, 100, PIXEL_VOI_LINEAR_EXACT };
    CHECK(near(pixel_window_apply(&w, -50), 0) && near(pixel_window_apply(&w, 0), 0.5) && near(pixel_window_apply(&w, 50), 1));
    w.width = 0.01;
    CHECK(near(pixel_window_apply(&w, 0.0025), 0.75));
}

TEST(sigmoid) {
    pixel_window w = { 10, 4, PIXEL_VOI_SIGMOID };
    CHECK(near(pixel_window_apply(&w, 10), 0.5));
    CHECK(near(pixel_window_apply(&w, 11), 1 / (1 + exp(-1.0))));
}

TEST(not_a_number_is_black) {
    pixel_window w = { 0, 100, PIXEL_VOI_LINEAR };
    CHECK(near(pixel_window_apply(&w, NAN), 0));
}

TEST(T11_windows_that_are_none) {
    static const pixel_window bad[] = { { 0, 0, PIXEL_VOI_LINEAR }, { 0, 0.5, PIXEL_VOI_LINEAR }, { 0, -1, PIXEL_VOI_SIGMOID }, { 0, 0, PIXEL_VOI_LINEAR_EXACT },
        { NAN, 1, PIXEL_VOI_LINEAR }, { 0, NAN, PIXEL_VOI_LINEAR }, { INFINITY, 1, PIXEL_VOI_LINEAR }, { 0, INFINITY, PIXEL_VOI_SIGMOID } };
    for (size_t i = 0; i < GN_ARRAY_LEN(bad); i++) CHECK_INT(pixel_window_check(&bad[i], NULL), GN_E_INVALID);
    CHECK_INT(pixel_window_check(&(pixel_window){ 0, 0.5, PIXEL_VOI_LINEAR_EXACT }, NULL), 0);
    CHECK_INT(pixel_window_check(&(pixel_window){ 0, 1, PIXEL_VOI_LINEAR }, NULL), 0);
}
