/* jpeg_ijg16: JPEG processes of up to 16 bits that libjpeg-turbo has not, by GDCM's 16-bit build of the IJG library. */
#include "jpeg.h"

#include <gdcm-3.0/gdcmjpeg/16/jpeglib.h>
#include <gdcm-3.0/gdcmjpeg/16/jerror.h>

#define JPEG_DECODE jpeg_ijg16_decode
#include "jpeg_decode_body.h"
