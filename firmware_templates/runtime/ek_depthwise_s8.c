#include "ek_depthwise_s8.h"

#include "ek_fixed.h"
#include "ek_mem.h"

/* A window whose taps all exist: tap (i, j) of channel c is x[i * row + j * column + c]. */
typedef struct {
  const int8_t *x;
  int32_t row, column;
} window;

static inline int8_t finish(const ek_depthwise *p, int32_t channel, int32_t sum) {
  const int32_t scaled = ek_rescale(ek_add_wrapping(sum, p->bias[channel]),
                                    p->multipliers[channel], p->shifts[channel]);
  return (int8_t)ek_clamp(ek_add_wrapping(scaled, p->output_zero_point), p->output_min,
                          p->output_max);
}

/* 3x3 taps side by side, one output channel an input channel: what networks are made of. */
static inline __attribute__((always_inline)) void taps_3x3(const ek_depthwise *p, const window *w,
                                                           int32_t weight_zero_point,
                                                           int8_t *output) {
  const int32_t channels = p->input_channels, row = w->row;
  for (int32_t c = 0; c < channels; c++) {
    const int8_t *x = w->x + c, *weight = p->weights + c;
    int32_t sum = 0;
    for (int i = 0; i < 3; i++, x += row) {
      sum += x[0] * (*weight - weight_zero_point);
      weight += channels;
      sum += x[channels] * (*weight - weight_zero_point);
      weight += channels;
      sum += x[2 * channels] * (*weight - weight_zero_point);
      weight += channels;
    }
    output[c] = finish(p, c, sum);
  }
}

/* Not inlined: so the loop has the registers to itself. */
static __attribute__((noinline)) void pixel_3x3(const ek_depthwise *p, const window *w,
                                                int8_t *output) {
  taps_3x3(p, w, 0, output);
}

static __attribute__((noinline)) void legacy_pixel_3x3(const ek_depthwise *p, const window *w,
                                                       int8_t *output) {
  taps_3x3(p, w, p->weight_zero_point, output);
}

/* Any number of taps and channels. */
static void pixel(const ek_depthwise *p, const window *w, int8_t *output) {
  const int32_t channels = p->input_channels * p->multiplier;
  const int8_t *x = w->x;
  for (int32_t c = 0, copy = 0; c < channels; c++) {
    const int8_t *weight = p->weights + c;
    int32_t sum = 0;
    for (int32_t i = 0; i < p->kernel_height; i++) {
      for (int32_t j = 0; j < p->kernel_width; j++, weight += channels) {
        sum += x[i * w->row + j * w->column] * (*weight - p->weight_zero_point);
      }
    }
    output[c] = finish(p, c, sum);
    if (++copy == p->multiplier) copy = 0, x++;
  }
}

/* A row of a window that begins at column `left`, zero points where it leaves the image. */
static void gather_row(const ek_depthwise *p, const int8_t *row, int32_t left, int8_t *to) {
  const size_t bytes = (size_t)p->input_channels;
  for (int32_t j = 0; j < p->kernel_width; j++, to += bytes) {
    const int32_t x = left + j * p->dilation_width;
    if (x < 0 || x >= p->input_width) {
      memset(to, p->input_zero_point, bytes);
    } else {
      memcpy(to, row + x * p->input_channels, bytes);
    }
  }
}

/* The window at (top, left), which laps over the image's border, put together in `to`. */
static window gather(const ek_depthwise *p, const int8_t *input, int32_t top, int32_t left,
                     int8_t *to) {
  const window w = {to, p->kernel_width * p->input_channels, p->input_channels};
  for (int32_t i = 0; i < p->kernel_height; i++, to += w.row) {
    const int32_t y = top + i * p->dilation_height;
    if (y < 0 || y >= p->input_height) {
      memset(to, p->input_zero_point, (size_t)w.row);
    } else {
      gather_row(p, input + y * p->input_width * p->input_channels, left, to);
    }
  }
  return w;
}

static void output_row(const ek_depthwise *p, const int8_t *input, int32_t y, int8_t *output,
                       int8_t *border) {
  const int32_t top = y * p->stride_height - p->pad_top;
  const int32_t bottom = top + (p->kernel_height - 1) * p->dilation_height;
  const int32_t reach = (p->kernel_width - 1) * p->dilation_width;
  const int32_t row = p->input_width * p->input_channels;
  const int is_3x3 = p->kernel_height == 3 && p->kernel_width == 3 && p->dilation_width == 1 &&
                     p->multiplier == 1;
  for (int32_t x = 0; x < p->output_width; x++) {
    const int32_t left = x * p->stride_width - p->pad_left;
    window w;
    if (top >= 0 && bottom < p->input_height && left >= 0 && left + reach < p->input_width) {
      w.x = input + top * row + left * p->input_channels;
      w.row = p->dilation_height * row;
      w.column = p->dilation_width * p->input_channels;
    } else {
      w = gather(p, input, top, left, border);
    }
    if (is_3x3 && p->weight_zero_point == 0) {
      pixel_3x3(p, &w, output);
    } else if (is_3x3) {
      legacy_pixel_3x3(p, &w, output);
    } else {
      pixel(p, &w, output);
    }
    output += p->input_channels * p->multiplier;
  }
}

/* Row y is held back until no later row reads what lies where it goes. */
static void in_place(const ek_depthwise *p, int8_t *image, int8_t *border) {
  const int32_t held = p->pad_top + 1;
  const int32_t bytes = p->output_width * p->input_channels;
  int8_t *const rows = border + p->kernel_height * p->kernel_width * p->input_channels;
  for (int32_t y = 0; y < p->output_height + held; y++) {
    int8_t *const row = rows + y % held * bytes;
    if (y >= held) memcpy(image + (y - held) * bytes, row, (size_t)bytes);
    if (y < p->output_height) output_row(p, image, y, row, border);
  }
}

void ek_depthwise_s8(const ek_depthwise *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t bytes = p->output_width * p->input_channels * p->multiplier;
  if (output == input) {
    in_place(p, output, scratch);
    return;
  }
  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t y = 0; y < p->output_height; y++, output += bytes) {
      output_row(p, input, y, output, scratch);
    }
    input += p->input_height * p->input_width * p->input_channels;
  }
}
