/* attributes: the table of columns, in the order of tags, and the lists of what belongs to studies and series (PS3.3 A.1.4,
 * C.7.1 to C.7.5). Patient, Patient Study and Clinical Trial modules are groups 0010 and 0012 as a whole. */
#include "attributes.h"

#include <stdlib.h>

#define T(keyword) DICOM_TAG_##keyword
#define V(vr) DICOM_VR_##vr

static const attribute columns[] = {
    { T(SOPClassUID), V(UI), ARCHIVE_IMAGE, ATTRIBUTE_UID, "sop_class" },
    { T(SOPInstanceUID), V(UI), ARCHIVE_IMAGE, ATTRIBUTE_UID, "sop_uid" },
    { T(StudyDate), V(DA), ARCHIVE_STUDY, ATTRIBUTE_DATE, "study_date" },
    { T(SeriesDate), V(DA), ARCHIVE_SERIES, ATTRIBUTE_DATE, "series_date" },
    { T(ContentDate), V(DA), ARCHIVE_IMAGE, ATTRIBUTE_DATE, "content_date" },
    { T(StudyTime), V(TM), ARCHIVE_STUDY, ATTRIBUTE_TIME, "study_time" },
    { T(SeriesTime), V(TM), ARCHIVE_SERIES, ATTRIBUTE_TIME, "series_time" },
    { T(ContentTime), V(TM), ARCHIVE_IMAGE, ATTRIBUTE_TIME, "content_time" },
    { T(AccessionNumber), V(SH), ARCHIVE_STUDY, ATTRIBUTE_TEXT, "accession" },
    { T(InstanceAvailability), V(CS), ARCHIVE_PATIENT, ATTRIBUTE_FIXED, "ONLINE" },
    { T(Modality), V(CS), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "modality" },
    { T(ModalitiesInStudy), V(CS), ARCHIVE_STUDY, ATTRIBUTE_SET, "modalities" },
    { T(SOPClassesInStudy), V(UI), ARCHIVE_STUDY, ATTRIBUTE_SET, "sop_classes" },
    { T(ReferringPhysicianName), V(PN), ARCHIVE_STUDY, ATTRIBUTE_NAME, "referring" },
    { T(StationName), V(SH), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "station" },
    { T(StudyDescription), V(LO), ARCHIVE_STUDY, ATTRIBUTE_TEXT, "description" },
    { T(SeriesDescription), V(LO), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "description" },
    { T(PerformingPhysicianName), V(PN), ARCHIVE_SERIES, ATTRIBUTE_NAME, "performing" },
    { T(AvailableTransferSyntaxUID), V(UI), ARCHIVE_IMAGE, ATTRIBUTE_UID, "transfer_syntax" },
    { T(PatientName), V(PN), ARCHIVE_PATIENT, ATTRIBUTE_PATIENT_NAME, "name" },
    { T(PatientID), V(LO), ARCHIVE_PATIENT, ATTRIBUTE_PATIENT_ID, "patient_id" },
    { T(IssuerOfPatientID), V(LO), ARCHIVE_PATIENT, ATTRIBUTE_PATIENT_ID, "issuer" },
    { T(PatientBirthDate), V(DA), ARCHIVE_PATIENT, ATTRIBUTE_DATE, "birth_date" },
    { T(PatientSex), V(CS), ARCHIVE_PATIENT, ATTRIBUTE_TEXT, "sex" },
    { T(BodyPartExamined), V(CS), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "body_part" },
    { T(ProtocolName), V(LO), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "protocol" },
    { T(StudyInstanceUID), V(UI), ARCHIVE_STUDY, ATTRIBUTE_UID, "study_uid" },
    { T(SeriesInstanceUID), V(UI), ARCHIVE_SERIES, ATTRIBUTE_UID, "series_uid" },
    { T(StudyID), V(SH), ARCHIVE_STUDY, ATTRIBUTE_TEXT, "study_id" },
    { T(SeriesNumber), V(IS), ARCHIVE_SERIES, ATTRIBUTE_INT, "number" },
    { T(InstanceNumber), V(IS), ARCHIVE_IMAGE, ATTRIBUTE_INT, "number" },
    { T(Laterality), V(CS), ARCHIVE_SERIES, ATTRIBUTE_TEXT, "laterality" },
    { T(NumberOfPatientRelatedStudies), V(IS), ARCHIVE_PATIENT, ATTRIBUTE_COUNT, "(SELECT count(*) FROM study x WHERE x.patient = @)" },
    { T(NumberOfPatientRelatedSeries), V(IS), ARCHIVE_PATIENT, ATTRIBUTE_COUNT, "(SELECT sum(x.n_series) FROM study x WHERE x.patient = @)" },
    { T(NumberOfPatientRelatedInstances), V(IS), ARCHIVE_PATIENT, ATTRIBUTE_COUNT, "(SELECT sum(x.n_instances) FROM study x WHERE x.patient = @)" },
    { T(NumberOfStudyRelatedSeries), V(IS), ARCHIVE_STUDY, ATTRIBUTE_INT, "n_series" },
    { T(NumberOfStudyRelatedInstances), V(IS), ARCHIVE_STUDY, ATTRIBUTE_INT, "n_instances" },
    { T(NumberOfSeriesRelatedInstances), V(IS), ARCHIVE_SERIES, ATTRIBUTE_INT, "n_instances" },
    { T(NumberOfFrames), V(IS), ARCHIVE_IMAGE, ATTRIBUTE_INT, "n_frames" },
    { T(Rows), V(US), ARCHIVE_IMAGE, ATTRIBUTE_INT, "n_rows" },
    { T(Columns), V(US), ARCHIVE_IMAGE, ATTRIBUTE_INT, "n_columns" },
    { T(PerformedProcedureStepStartDate), V(DA), ARCHIVE_SERIES, ATTRIBUTE_DATE, "pps_date" },
    { T(PerformedProcedureStepStartTime), V(TM), ARCHIVE_SERIES, ATTRIBUTE_TIME, "pps_time" },
};

static const dicom_tag study_tags[] = {
    T(TimezoneOffsetFromUTC), T(IssuerOfAccessionNumberSequence), T(InstitutionName), T(InstitutionAddress), T(ReferringPhysicianAddress),
    T(ReferringPhysicianTelephoneNumbers), T(ReferringPhysicianIdentificationSequence), T(ConsultingPhysicianName),
    T(ConsultingPhysicianIdentificationSequence), T(ProcedureCodeSequence), T(PhysiciansOfRecord), T(PhysiciansOfRecordIdentificationSequence),
    T(NameOfPhysiciansReadingStudy), T(PhysiciansReadingStudyIdentificationSequence), T(AdmittingDiagnosesDescription),
    T(AdmittingDiagnosesCodeSequence), T(ReferencedStudySequence), T(ReferencedPatientSequence), T(OtherStudyNumbers), T(RequestingPhysician),
    T(RequestingService), T(RequestingServiceCodeSequence), T(RequestedProcedureDescription), T(RequestedProcedureCodeSequence),
    T(ReasonForStudy), T(StudyComments), T(AdmissionID), T(IssuerOfAdmissionIDSequence), T(AdmittingDate), T(AdmittingTime), T(ServiceEpisodeID),
    T(ServiceEpisodeDescription), T(IssuerOfServiceEpisodeIDSequence), T(PatientState), T(RequestedProcedureID),
    T(ReasonForTheRequestedProcedure), T(ReasonForPerformedProcedureCodeSequence), T(ImagingServiceRequestComments),
};

static const dicom_tag series_tags[] = {
    T(Manufacturer), T(InstitutionalDepartmentName), T(InstitutionalDepartmentTypeCodeSequence), T(SeriesDescriptionCodeSequence),
    T(PerformingPhysicianIdentificationSequence), T(OperatorsName), T(OperatorIdentificationSequence), T(ManufacturerModelName),
    T(ReferencedPerformedProcedureStepSequence), T(RelatedSeriesSequence), T(AnatomicRegionSequence), T(DeviceSerialNumber), T(DeviceUID), T(GantryID),
    T(SoftwareVersions), T(SpatialResolution), T(DateOfLastCalibration), T(TimeOfLastCalibration), T(PatientPosition),
    T(ContrastBolusAgent), T(SeriesType), T(FrameOfReferenceUID), T(SynchronizationFrameOfReferenceUID), T(PositionReferenceIndicator),
    T(ImagesInAcquisition), T(AcquisitionsInSeries), T(SmallestPixelValueInSeries), T(LargestPixelValueInSeries), T(PixelPaddingValue),
    T(PerformedProcedureStepEndDate), T(PerformedProcedureStepEndTime), T(PerformedProcedureStepID), T(PerformedProcedureStepDescription),
    T(PerformedProtocolCodeSequence), T(RequestAttributesSequence), T(CommentsOnThePerformedProcedureStep), T(TreatmentSessionUID),
    T(PresentationIntentType), T(ScanningSequence), T(SequenceVariant), T(ConvolutionKernel), T(MagneticFieldStrength), T(CountsSource),
};

/* What pictures have, for whoever asks for all of an instance. */
static const dicom_tag image_tags[] = {
    T(ImageType), T(InstanceCreationDate), T(InstanceCreationTime), T(AcquisitionDate), T(AcquisitionTime), T(AcquisitionDateTime), T(DerivationDescription),
    T(SourceImageSequence), T(ReferencedImageSequence), T(SliceThickness), T(KVP), T(RepetitionTime), T(EchoTime), T(ImagingFrequency), T(EchoNumbers), T(SpacingBetweenSlices),
    T(FlipAngle), T(ReconstructionDiameter), T(ExposureTime), T(XRayTubeCurrent), T(Exposure), T(ViewPosition), T(ImagerPixelSpacing), T(AcquisitionNumber),
    T(PatientOrientation), T(ImagePositionPatient), T(ImageOrientationPatient), T(ImageLaterality), T(TemporalPositionIdentifier), T(SliceLocation), T(ImageComments),
    T(SamplesPerPixel), T(PhotometricInterpretation), T(PlanarConfiguration), T(PixelSpacing), T(PixelAspectRatio), T(BitsAllocated), T(BitsStored), T(HighBit),
    T(PixelRepresentation), T(BurnedInAnnotation), T(WindowCenter), T(WindowWidth), T(RescaleIntercept), T(RescaleSlope), T(RescaleType), T(VOILUTFunction),
    T(LossyImageCompression), T(LossyImageCompressionRatio), T(LossyImageCompressionMethod), T(ConceptNameCodeSequence), T(CompletionFlag), T(VerificationFlag),
    T(ContentLabel), T(ContentDescription), T(ContentCreatorName), T(DocumentTitle), T(MIMETypeOfEncapsulatedDocument),
};

static const dicom_tag patient_tags[] = {
    T(PatientBirthTime), T(OtherPatientIDsSequence), T(OtherPatientNames), T(PatientAge), T(PatientSize), T(PatientWeight), T(EthnicGroup), T(Occupation), T(PatientComments),
    T(AdditionalPatientHistory), T(PregnancyStatus), T(PatientSpeciesDescription), T(ResponsiblePerson), T(PatientIdentityRemoved), T(DeidentificationMethod),
};

static size_t put_tags(const dicom_tag *list, size_t n, dicom_tag *tags, size_t count, size_t capacity) {
    for (size_t i = 0; i < n && count < capacity; i++) tags[count++] = list[i];
    return count;
}

size_t archive_known_attributes(archive_level level, dicom_tag *tags, size_t capacity) {
    size_t n = 0;
    for (size_t i = 0; i < GN_ARRAY_LEN(columns) && n < capacity; i++)
        if (columns[i].level <= level) tags[n++] = columns[i].tag;
    n = put_tags(patient_tags, GN_ARRAY_LEN(patient_tags), tags, n, capacity);
    if (level >= ARCHIVE_STUDY) n = put_tags(study_tags, GN_ARRAY_LEN(study_tags), tags, n, capacity);
    if (level >= ARCHIVE_SERIES) n = put_tags(series_tags, GN_ARRAY_LEN(series_tags), tags, n, capacity);
    if (level >= ARCHIVE_IMAGE) n = put_tags(image_tags, GN_ARRAY_LEN(image_tags), tags, n, capacity);
    return n;
}

const attribute *attribute_find(dicom_tag tag) {
    size_t low = 0, n = GN_ARRAY_LEN(columns);
    while (n > 0) {
        size_t half = n / 2;
        if (columns[low + half].tag < tag) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low < GN_ARRAY_LEN(columns) && columns[low].tag == tag ? &columns[low] : NULL;
}

static bool in_list(const dicom_tag *list, size_t n, dicom_tag tag) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == tag) return true;
    return false;
}

archive_level attribute_level(dicom_tag tag) {
    uint16_t group = dicom_tag_group(tag);
    if (group == 0x0010 || group == 0x0012 || in_list(study_tags, GN_ARRAY_LEN(study_tags), tag)) return ARCHIVE_STUDY;
    return in_list(series_tags, GN_ARRAY_LEN(series_tags), tag) ? ARCHIVE_SERIES : ARCHIVE_IMAGE;
}

const attribute *attribute_time_of(const attribute *date) {
    switch (date->tag) {
    case T(StudyDate): return attribute_find(T(StudyTime));
    case T(SeriesDate): return attribute_find(T(SeriesTime));
    case T(ContentDate): return attribute_find(T(ContentTime));
    case T(PerformedProcedureStepStartDate): return attribute_find(T(PerformedProcedureStepStartTime));
    default: return NULL;
    }
}
