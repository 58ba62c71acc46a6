/* config_orthanc: the keys of an Orthanc file that have no meaning here, each with the reason.
 *
 * They are named at the start as "not used", so that nobody wonders whether a setting of the old server still works. */
#include "config.h"

typedef struct unused {
    const char *name, *reason;
} unused;

#define NO_HTTP "Gantry's HTTP service has no such setting"
#define NO_TLS "DICOM over TLS is not built yet"
#define ALL_TS "AcceptedTransferSyntaxes says which transfer syntaxes are taken; by default all"
#define NO_LUA "Gantry runs no scripts"
#define ONE_DIR "everything is kept under StorageDirectory"
#define NO_JOBS "sending jobs are not built yet"

static const unused keys[] = {
    { "IndexDirectory", ONE_DIR },
    { "MaximumPatientCount", "nothing is deleted to make room" },
    { "MaximumStorageMode", "nothing is deleted to make room" },
    { "MaximumStorageCacheSize", "the system's page cache does this" },
    { "LuaScripts", NO_LUA },
    { "LuaHeartBeatPeriod", NO_LUA },
    { "ExecuteLuaEnabled", NO_LUA },
    { "Plugins", "Gantry loads no plugins" },
    { "DicomWeb", NO_HTTP },
    { "OrthancExplorerEnabled", NO_HTTP },
    { "OrthancExplorer2", NO_HTTP },
    { "HttpDescribeErrors", NO_HTTP },
    { "HttpCompressionEnabled", NO_HTTP },
    { "HttpVerbose", NO_HTTP },
    { "HttpTimeout", NO_HTTP },
    { "HttpRequestTimeout", NO_HTTP },
    { "HttpThreadsCount", NO_HTTP },
    { "HttpsVerifyPeers", NO_HTTP },
    { "HttpsCACertificates", NO_HTTP },
    { "HttpProxy", NO_HTTP },
    { "KeepAlive", NO_HTTP },
    { "KeepAliveTimeout", NO_HTTP },
    { "WebDavEnabled", NO_HTTP },
    { "WebDavDeleteAllowed", NO_HTTP },
    { "WebDavUploadAllowed", NO_HTTP },
    { "SslMinimumProtocolVersion", NO_HTTP },
    { "SslCiphersAccepted", NO_HTTP },
    { "SslVerifyPeers", NO_HTTP },
    { "SslTrustedClientCertificates", NO_HTTP },
    { "RestApiWriteToFileSystemEnabled", NO_HTTP },
    { "MetricsEnabled", NO_HTTP },
    { "OrthancPeers", NO_HTTP },
    { "OrthancPeersInDatabase", NO_HTTP },
    { "CheckRevisions", NO_HTTP },
    { "MediaArchiveSize", NO_HTTP },
    { "SynchronousZipStream", NO_HTTP },
    { "ZipLoaderThreads", NO_HTTP },
    { "StableAge", NO_HTTP },
    { "UserMetadata", NO_HTTP },
    { "UserContentType", NO_HTTP },
    { "DefaultEncoding", "what an object says of its character set is taken; without a word of it, UTF-8 or Latin-1" },
    { "DeflatedTransferSyntaxAccepted", ALL_TS },
    { "JpegTransferSyntaxAccepted", ALL_TS },
    { "Jpeg2000TransferSyntaxAccepted", ALL_TS },
    { "JpegLosslessTransferSyntaxAccepted", ALL_TS },
    { "JpipTransferSyntaxAccepted", ALL_TS },
    { "Mpeg2TransferSyntaxAccepted", ALL_TS },
    { "Mpeg4TransferSyntaxAccepted", ALL_TS },
    { "RleTransferSyntaxAccepted", ALL_TS },
    { "H265TransferSyntaxAccepted", ALL_TS },
    { "DicomTlsRemoteCertificateRequired", NO_TLS },
    { "DicomTlsMinimumProtocolVersion", NO_TLS },
    { "DicomTlsCiphersAccepted", NO_TLS },
    { "DicomAlwaysAllowFindWorklist", "the worklist is not built yet" },
    { "Worklists", "the worklist is not built yet" },
    { "DicomModalitiesInDatabase", "peers are in this file, and read again on SIGHUP" },
    { "DicomEchoChecksFind", "C-ECHO only asks for C-ECHO" },
    { "DicomScuPreferredTransferSyntax", "objects are offered as they are stored, then uncompressed" },
    { "DicomThreadsCount", "each association has a thread; MaximumAssociations limits them" },
    { "DicomAssociationCloseDelay", NO_JOBS },
    { "StrictAetComparison", "AE titles are compared exactly, as PS3.5 says" },
    { "StoreMD5ForAttachments", "every object has a checksum" },
    { "LimitFindInstances", "LimitFindResults is for all levels" },
    { "LogExportedResources", NO_JOBS },
    { "TcpNoDelay", "always on" },
    { "StoreDicom", "objects are always stored" },
    { "QueryRetrieveSize", NO_HTTP },
    { "CaseSensitivePN", "names are matched without regard to case, as PS3.4 allows" },
    { "Pkcs11", NO_HTTP },
    { "LoadPrivateDictionary", "private elements are kept and found by their numbers" },
    { "Dictionary", "private elements are kept and found by their numbers" },
    { "ExternalDictionaries", "private elements are kept and found by their numbers" },
    { "SynchronousCMove", "C-MOVE answers while it sends, as PS3.7 asks" },
    { "JobsHistorySize", NO_JOBS },
    { "SaveJobs", NO_JOBS },
    { "JobsEngineThreadsCount", NO_JOBS },
    { "StorageAccessOnFind", "queries never read stored files" },
    { "DefaultPrivateCreator", "private elements are kept and found by their numbers" },
    { "StorageCommitmentReportsSize", "commitment requests are kept until they are answered" },
    { "TranscodeDicomProtocol", "always: what a receiver does not take as it is stored is sent in a form that loses nothing" },
    { "BuiltinDecoderTranscoderOrder", "there is one decoder" },
    { "IngestTranscoding", "objects are kept byte for byte as they came" },
    { "IngestTranscodingOfUncompressed", "objects are kept byte for byte as they came" },
    { "IngestTranscodingOfCompressed", "objects are kept byte for byte as they came" },
    { "DicomLossyTranscodingQuality", "nothing is ever made lossy on its way" },
    { "SyncStorageArea", "always: success is only answered when the object is safe" },
    { "MallocArenaMax", "always 2" },
    { "DeidentifyLogs", "always: logs hold no patient names above level debug" },
    { "DeidentifyLogsDicomVersion", "logs hold no patient names above level debug" },
    { "DatabaseServerIdentifier", CONFIG_NO_POSTGRES },
    { "Warnings", "warnings cannot be switched off one by one" },
};

const char *config_orthanc_reason(const char *name) {
    for (size_t i = 0; i < GN_ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].name, name) == 0) return keys[i].reason;
    return NULL;
}
