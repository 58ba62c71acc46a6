/* jpeg_ijg8: JPEG processes of up to 8 bits that libjpeg-turbo has not, by GDCM's 8-bit build of the IJG library. */
#include "jpeg.h"

#include <gdcm-3.0/gdcmjpeg/8/jpeglib.h>
#include <gdcm-3.0/gdcmjpeg/8/jerror.h>

#define JPEG_DECODE jpeg_ijg8_decode
#include "jpeg_decode_body.h"
