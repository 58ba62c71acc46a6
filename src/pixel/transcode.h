/* transcode: what pixel_transcode consists of: the object as it is read, and the attributes that change with its encoding. */
#ifndef GANTRY_PIXEL_TRANSCODE_H
#define GANTRY_PIXEL_TRANSCODE_H

#include "internal.h"

typedef struct transcode_plan {
    const char *to_uid;
    const dicom_transfer_syntax *to;
    bool lossy;                 /* this step loses something */
    const pixel_encode_options *options;
    pixel_format format;        /* of the frames that are encoded */
    double ratio;               /* lossy: uncompressed bytes by compressed ones */
} transcode_plan;

/* Does encoding as `uid` with these options lose something? */
bool transcode_is_lossy(const char *uid, const pixel_encode_options *o);
/* Photometric Interpretation, planes, bits and the lossy attributes (PS3.3 C.7.6.3, C.7.6.1.1.5), and what cannot stay: offset
 * tables of the old encoding, icons that are compressed in it. */
int transcode_attributes(dicom_dataset *ds, const transcode_plan *plan, const dicom_transfer_syntax *from, gn_error *e);

#endif
