#include "ek_max_pool_dsp.h"

#include "ek_packed.h"

/* All channels of a window of rows by columns that lies inside; the last four may overlap. */
static void largest(const ek_pool *p, const int8_t *window, int32_t rows, int32_t columns,
                    int8_t *output) {
  const int32_t channels = p->input_channels, line = p->input_width * channels;
  const uint32_t low = (uint8_t)p->output_min * 0x01010101u;
  const uint32_t high = (uint8_t)p->output_max * 0x01010101u;
  for (int32_t c = 0; c < channels; c += 4) {
    const int32_t first = c + 4 <= channels ? c : channels - 4;
    uint32_t most = low;
    for (int32_t i = 0; i < rows; i++) {
      const int8_t *x = window + i * line + first;
      for (const int8_t *const end = x + columns * channels; x != end; x += channels) {
        most = ek_max_bytes(most, ek_load_word(x));
      }
    }
    ek_store_word(output + first, ek_min_bytes(most, high));
  }
}

void ek_max_pool_dsp(const ek_pool *p, const int8_t *input, int8_t *output) {
  const int32_t channels = p->input_channels, line = p->input_width * channels;
  for (int32_t n = 0; n < p->batches; n++, input += p->input_height * line) {
    for (int32_t y = 0; y < p->output_height; y++) {
      int32_t top, bottom;
      ek_pool_inside(y * p->stride_height - p->pad_top, p->kernel_height, p->input_height, &top,
                     &bottom);
      for (int32_t x = 0; x < p->output_width; x++, output += channels) {
        int32_t left, right;
        ek_pool_inside(x * p->stride_width - p->pad_left, p->kernel_width, p->input_width, &left,
                       &right);
        largest(p, input + top * line + left * channels, bottom - top, right - left, output);
      }
    }
  }
}
