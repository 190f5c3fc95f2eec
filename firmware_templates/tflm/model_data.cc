// {{ name }}: the int8 model as a TFLite flatbuffer. Written by edgekit {{ version }}.
#include "model_data.h"

alignas(16) const unsigned char kModelData[kModelDataBytes] = {
{{ model | c_bytes }}};
