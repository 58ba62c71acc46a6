/* jpeg_ijg12: JPEG processes of up to 12 bits that libjpeg-turbo has not, by GDCM's 12-bit build of the IJG library. */
#include "jpeg.h"

#include <gdcm-3.0/gdcmjpeg/12/jpeglib.h>
#include <gdcm-3.0/gdcmjpeg/12/jerror.h>

#define JPEG_DECODE jpeg_ijg12_decode
#include "jpeg_decode_body.h"
