/* config_table: every key of the configuration, described once.
 *
 * From this list come the parser, the flags of `gantry serve` and their help, the environment variables, `gantry config
 * --print` and docs/configuration.md. To add a key, add a row here and use config_int, config_text, … where it matters.
 *
 * X(id, name, type, low, high, flag, environment, default, choices, later, help)
 *   low, high    range of numbers and sizes
 *   flag         without "--"; NULL: not a flag (secrets and objects)
 *   default      as text, in the form that a flag takes
 *   choices      "a|b|c" of a CHOICE; of other types the word for the value in help ("N", "DIR")
 *   later        NULL: works. Else the part does not exist yet, and this says what happens instead.
 * The names are Orthanc's where Orthanc has the key. */
#ifndef GANTRY_SERVICE_CONFIG_TABLE_H
#define GANTRY_SERVICE_CONFIG_TABLE_H

#define CONFIG_NO_USERS "passwords do not stand in configuration files here, and accounts cannot be made yet"
#define CONFIG_NO_POSTGRES "PostgreSQL is not supported yet: the index is kept in SQLite under StorageDirectory"
#define CONFIG_NO_S3 "S3 is not supported yet: objects are kept as files under StorageDirectory"
#define CONFIG_NO_AZURE "Azure Blob storage is not supported yet: objects are kept as files under StorageDirectory"

#define CONFIG_TABLE_SERVICE(X)                                                                                        \
    X(Name, "Name", TEXT, 0, 200, "name", "GANTRY_NAME", "Gantry", "TEXT", NULL,                                       \
      "Name of this service, for people and logs.")                                                                    \
    X(StorageDirectory, "StorageDirectory", PATH, 1, 4000, "data", "GANTRY_DATA", "data", "DIR", NULL,                 \
      "Where everything is kept; made when absent. In a file, relative to the file's folder.")                         \
    X(LogLevel, "LogLevel", CHOICE, 0, 0, "log-level", "GANTRY_LOG_LEVEL", "info", "debug|info|warn|error", NULL,      \
      "The least important messages that are logged.")                                                                 \
    X(LogFormat, "LogFormat", CHOICE, 0, 0, "log-format", "GANTRY_LOG_FORMAT", "auto", "auto|text|json", NULL,         \
      "auto: text on a terminal, else one JSON object a line.")

#define CONFIG_TABLE_DICOM(X)                                                                                          \
    X(DicomServerEnabled, "DicomServerEnabled", BOOL, 0, 0, "dicom-server", "GANTRY_DICOM_SERVER_ENABLED", "true",     \
      "BOOL", NULL, "Whether DICOM is served at all.")                                                                 \
    X(DicomAet, "DicomAet", AET, 1, 16, "aet", "GANTRY_DICOM_AET", "GANTRY", "TITLE", NULL,                            \
      "Our AE title.")                                                                                                 \
    X(DicomExtraAets, "DicomExtraAets", LIST, 0, 64, "extra-aet", "GANTRY_DICOM_EXTRA_AETS", "", "TITLE,TITLE", NULL,      \
      "Other called AE titles that are ours too.")                                                                     \
    X(DicomPort, "DicomPort", INT, 0, 65535, "dicom-port", "GANTRY_DICOM_PORT", "4242", "N", NULL,                     \
      "TCP port for DICOM; 0: any free one, which is then logged.")                                                    \
    X(DicomAddress, "DicomAddress", TEXT, 0, 255, "dicom-address", "GANTRY_DICOM_ADDRESS", "", "ADDRESS", NULL,        \
      "Address to listen on. Empty: 127.0.0.1, or 0.0.0.0 with RemoteAccessAllowed.")                                  \
    X(RemoteAccessAllowed, "RemoteAccessAllowed", BOOL, 0, 0, "remote-access", "GANTRY_REMOTE_ACCESS_ALLOWED",         \
      "false", "BOOL", NULL, "Listen for other machines, not only for this one. See \"Who may do what\".")             \
    X(DicomCheckCalledAet, "DicomCheckCalledAet", BOOL, 0, 0, "check-called-aet", "GANTRY_DICOM_CHECK_CALLED_AET",     \
      "false", "BOOL", NULL, "Reject associations that call another AE title than ours.")                              \
    X(DicomCheckModalityHost, "DicomCheckModalityHost", BOOL, 0, 0, "check-modality-host",                             \
      "GANTRY_DICOM_CHECK_MODALITY_HOST", "true", "BOOL", NULL,                                                        \
      "A known AE title must call from its own address. false: its title alone is believed.")                          \
    X(DicomAlwaysAllowEcho, "DicomAlwaysAllowEcho", TRISTATE, 0, 0, "always-allow-echo",                               \
      "GANTRY_DICOM_ALWAYS_ALLOW_ECHO", "auto", "BOOL", NULL, "Callers that are not in DicomModalities may C-ECHO.")   \
    X(DicomAlwaysAllowStore, "DicomAlwaysAllowStore", TRISTATE, 0, 0, "always-allow-store",                            \
      "GANTRY_DICOM_ALWAYS_ALLOW_STORE", "auto", "BOOL", NULL,                                                         \
      "Callers that are not in DicomModalities may C-STORE and ask for commitment.")                                   \
    X(DicomAlwaysAllowFind, "DicomAlwaysAllowFind", TRISTATE, 0, 0, "always-allow-find",                               \
      "GANTRY_DICOM_ALWAYS_ALLOW_FIND", "auto", "BOOL", NULL, "Callers that are not in DicomModalities may C-FIND.")   \
    X(DicomAlwaysAllowGet, "DicomAlwaysAllowGet", TRISTATE, 0, 0, "always-allow-get",                                  \
      "GANTRY_DICOM_ALWAYS_ALLOW_GET", "auto", "BOOL", NULL, "Callers that are not in DicomModalities may C-GET.")     \
    X(DicomAlwaysAllowMove, "DicomAlwaysAllowMove", TRISTATE, 0, 0, "always-allow-move",                               \
      "GANTRY_DICOM_ALWAYS_ALLOW_MOVE", "auto", "BOOL", NULL, "Callers that are not in DicomModalities may C-MOVE.")   \
    X(DicomModalities, "DicomModalities", PEERS, 0, 0, "peer", "GANTRY_PEERS", "", "NAME=AET@HOST:PORT", NULL,         \
      "The DICOM nodes we know: their rights, and where C-MOVE may send. The flag may be repeated.")

#define CONFIG_TABLE_LIMITS(X)                                                                                         \
    X(MaximumPduLength, "MaximumPduLength", INT, 4096, 1048576, "maximum-pdu-length", "GANTRY_MAXIMUM_PDU_LENGTH",     \
      "262144", "BYTES", NULL, "Longest PDU that peers may send us.")                                                  \
    X(MaximumAssociations, "MaximumAssociations", INT, 1, 20000, "maximum-associations",                               \
      "GANTRY_MAXIMUM_ASSOCIATIONS", "512", "N", NULL, "Open at once; more are rejected for the moment.")              \
    X(MaximumAssociationsPerPeer, "MaximumAssociationsPerPeer", INT, 0, 20000, "maximum-associations-per-peer",        \
      "GANTRY_MAXIMUM_ASSOCIATIONS_PER_PEER", "0", "N", NULL, "The same for one AE title and address; 0: no limit.")   \
    X(MaximumWaitingConnections, "MaximumWaitingConnections", INT, 1, 20000, "maximum-waiting-connections",            \
      "GANTRY_MAXIMUM_WAITING_CONNECTIONS", "1024", "N", NULL, "Connections that have not asked for anything yet.")    \
    X(AsynchronousOperations, "AsynchronousOperations", INT, 1, 1000, "asynchronous-operations",                       \
      "GANTRY_ASYNCHRONOUS_OPERATIONS", "16", "N", NULL, "Requests that a peer may have unanswered at once.")          \
    X(DicomScpTimeout, "DicomScpTimeout", INT, 0, 86400, "idle-timeout", "GANTRY_DICOM_SCP_TIMEOUT", "300", "SECONDS", \
      NULL, "An association without a request for this long is closed; 0: a day. Also called IdleTimeout.")            \
    X(ArtimTimeout, "ArtimTimeout", INT, 1, 3600, "artim-timeout", "GANTRY_ARTIM_TIMEOUT", "30", "SECONDS", NULL,      \
      "Time for a new connection to ask for an association, and for a peer to close one.")                             \
    X(MessageTimeout, "MessageTimeout", INT, 1, 3600, "message-timeout", "GANTRY_MESSAGE_TIMEOUT", "60", "SECONDS",    \
      NULL, "Longest silence inside a message, and longest wait for an answer of a peer that we called.")              \
    X(WriteTimeout, "WriteTimeout", INT, 1, 3600, "write-timeout", "GANTRY_WRITE_TIMEOUT", "60", "SECONDS", NULL,      \
      "A peer that takes nothing for this long is cut off.")                                                           \
    X(DicomScuTimeout, "DicomScuTimeout", INT, 1, 3600, "connect-timeout", "GANTRY_DICOM_SCU_TIMEOUT", "10",           \
      "SECONDS", NULL, "Time to reach a peer that we call.")                                                           \
    X(LimitFindResults, "LimitFindResults", INT, 0, 1000000000, "limit-find-results", "GANTRY_LIMIT_FIND_RESULTS",     \
      "0", "N", NULL, "Answers of one C-FIND; 0: 1,000,000.")                                                          \
    X(FindTimeout, "FindTimeout", INT, 1, 3600, "find-timeout", "GANTRY_FIND_TIMEOUT", "60", "SECONDS", NULL,          \
      "Longest time for one query.")                                                                                   \
    X(MaximumIdentifierSize, "MaximumIdentifierSize", SIZE, 65536, 1073741824, "maximum-identifier-size",              \
      "GANTRY_MAXIMUM_IDENTIFIER_SIZE", "4M", "SIZE", NULL, "Longest query, or list of instances to commit.")          \
    X(TranscodeMemory, "TranscodeMemory", SIZE, 1048576, 4294967296, "transcode-memory", "GANTRY_TRANSCODE_MEMORY",    \
      "64M", "SIZE", NULL,                                                                                             \
      "Largest object, or frame of a compressed one, whose encoding is changed for a receiver that does not take it.") \
    X(DecoderWorkers, "DecoderWorkers", INT, 0, 64, "decoder-workers", "GANTRY_DECODER_WORKERS", "0", "N", NULL,       \
      "Processes that decode compressed frames, started when needed; 0: one for each processor.")                      \
    X(DecoderMemory, "DecoderMemory", SIZE, 67108864, 1099511627776, "decoder-memory", "GANTRY_DECODER_MEMORY", "2G",  \
      "SIZE", NULL, "Memory of each of them; a frame that needs more fails.")                                          \
    X(DecoderTimeout, "DecoderTimeout", INT, 1, 3600, "decoder-timeout", "GANTRY_DECODER_TIMEOUT", "5", "SECONDS",     \
      NULL, "Longest time to decode one frame.")                                                                       \
    X(AcceptedTransferSyntaxes, "AcceptedTransferSyntaxes", LIST, 0, 200, "accept-transfer-syntax",                    \
      "GANTRY_ACCEPTED_TRANSFER_SYNTAXES", "", "UID,UID", NULL,                                                          \
      "Transfer syntaxes taken for storage, * and ? allowed; empty: all.")                                             \
    X(TransferSyntaxOrder, "TransferSyntaxOrder", CHOICE, 0, 0, "transfer-syntax-order",                               \
      "GANTRY_TRANSFER_SYNTAX_ORDER", "proposed", "proposed|configured", NULL,                                         \
      "Whose order decides among the transfer syntaxes that a peer offers.")                                           \
    X(UnknownSopClassAccepted, "UnknownSopClassAccepted", BOOL, 0, 0, "unknown-sop-classes",                           \
      "GANTRY_UNKNOWN_SOP_CLASS_ACCEPTED", "true", "BOOL", NULL,                                                       \
      "Store objects of private and unknown SOP classes too.")                                                         \
    X(StrictHierarchy, "StrictHierarchy", BOOL, 0, 0, "strict-hierarchy", "GANTRY_STRICT_HIERARCHY", "false", "BOOL",   \
      NULL, "Keys above the query's level only where the peer negotiated relational queries.")                         \
    X(ProgressInterval, "ProgressInterval", INT, 10, 60000, "progress-interval", "GANTRY_PROGRESS_INTERVAL", "100",    \
      "MILLISECONDS", NULL, "Pending responses of C-MOVE and C-GET at most this often.")                               \
    X(CommitmentRetry, "CommitmentRetry", INT, 1, 3600, "commitment-retry", "GANTRY_COMMITMENT_RETRY", "10",           \
      "SECONDS", NULL, "Pause before a failed commitment report is tried again; doubled each time, up to an hour.")    \
    X(CommitmentAttempts, "CommitmentAttempts", INT, 1, 1000, "commitment-attempts", "GANTRY_COMMITMENT_ATTEMPTS",     \
      "20", "N", NULL, "Attempts before a commitment report is given up.")

#define CONFIG_TABLE_ARCHIVE(X)                                                                                        \
    X(Duplicates, "Duplicates", CHOICE, 0, 0, "duplicates", "GANTRY_DUPLICATES", "keep", "keep|replace|reject", NULL,  \
      "The same SOP Instance UID with other bytes. keep: the first stays, the new one goes to quarantine. replace: the " \
      "new one is served, the old bytes are kept. reject: the sender gets a failure.")                                 \
    X(OverwriteInstances, "OverwriteInstances", BOOL, 0, 0, "overwrite-instances", "GANTRY_OVERWRITE_INSTANCES",       \
      "false", "BOOL", NULL, "Orthanc's word: true means Duplicates \"replace\", unless Duplicates is set.")           \
    X(RefuseInvalid, "RefuseInvalid", BOOL, 0, 0, "refuse-invalid", "GANTRY_REFUSE_INVALID", "false", "BOOL", NULL,    \
      "Refuse what fails validation, instead of keeping it with a warning.")                                           \
    X(Quarantine, "Quarantine", BOOL, 0, 0, "quarantine", "GANTRY_QUARANTINE", "true", "BOOL", NULL,                   \
      "Keep refused objects, with the reason, in the quarantine folder.")                                              \
    X(QuarantineSize, "QuarantineSize", SIZE, 1048576, 1099511627776, "quarantine-size", "GANTRY_QUARANTINE_SIZE",     \
      "1G", "SIZE", NULL, "The newest refused objects are kept, up to this much.")                                     \
    X(ReserveSpace, "ReserveSpace", SIZE, 1048576, 1099511627776, "reserve-space", "GANTRY_RESERVE_SPACE", "256M",     \
      "SIZE", NULL, "Take no more objects when less of the disk is free (at most 5 % of it is held back).")            \
    X(PackLimit, "PackLimit", SIZE, 4096, 67108864, "pack-limit", "GANTRY_PACK_LIMIT", "1M", "SIZE", NULL,             \
      "Objects up to this size share files and syncs; larger ones have a file of their own.")                          \
    X(MemoryForIngest, "MemoryForIngest", SIZE, 4194304, 17179869184, "memory-for-ingest",                             \
      "GANTRY_MEMORY_FOR_INGEST", "64M", "SIZE", NULL, "Memory for objects on their way in.")                          \
    X(ReadOnly, "ReadOnly", BOOL, 0, 0, "read-only", "GANTRY_READ_ONLY", "false", "BOOL", NULL,                        \
      "Serve what is there, take nothing new, write nothing.")                                                         \
    X(StorageMustExist, "StorageMustExist", BOOL, 0, 0, "storage-must-exist", "GANTRY_STORAGE_MUST_EXIST", "false",    \
      "BOOL", NULL,                                                                                                    \
      "Refuse to start where no archive is yet: the empty mount point of a missing disk is not filled. For a "         \
      "StorageDirectory that is a mount of its own, once the first start has made the archive.")

#define CONFIG_TABLE_HTTP(X)                                                                                           \
    X(HttpServerEnabled, "HttpServerEnabled", BOOL, 0, 0, "http-server", "GANTRY_HTTP_SERVER_ENABLED", "true", "BOOL", \
      NULL, "Whether HTTP is served.")                                                                                 \
    X(HttpPort, "HttpPort", INT, 0, 65535, "http-port", "GANTRY_HTTP_PORT", "8042", "N", NULL,                         \
      "TCP port for HTTP; 0: any free one, which is then logged.")                                                     \
    X(HttpAddress, "HttpAddress", TEXT, 0, 200, "http-address", "GANTRY_HTTP_ADDRESS", "", "ADDRESS", NULL,            \
      "Address to listen on for HTTP. Empty: 127.0.0.1, or 0.0.0.0 with RemoteAccessAllowed and a certificate.")       \
    X(PublicUrl, "PublicUrl", TEXT, 0, 500, "public-url", "GANTRY_PUBLIC_URL", "", "URL", NULL,                        \
      "As clients reach us, when a proxy stands in front.")                                                            \
    X(BehindTlsProxy, "BehindTlsProxy", BOOL, 0, 0, "behind-tls-proxy", "GANTRY_BEHIND_TLS_PROXY", "false", "BOOL",    \
      NULL, "Serve plain HTTP on HttpAddress although it is not loopback: a proxy on a trusted network does TLS.")     \
    X(Authentication, "Authentication", CHOICE, 0, 0, "auth", "GANTRY_AUTH", "local", "none|local", NULL,              \
      "Who may use HTTP. local: signed-in users and keys. none: everybody, on a loopback address only.")               \
    X(AuthenticationEnabled, "AuthenticationEnabled", BOOL, 0, 0, "authentication", "GANTRY_AUTHENTICATION_ENABLED",   \
      "true", "BOOL", NULL, "Orthanc's word: false is Authentication \"none\".")                                       \
    X(RegisteredUsers, "RegisteredUsers", OBJECT, 0, 0, NULL, NULL, "", "", CONFIG_NO_USERS, "Users of HTTP.")         \
    X(SslEnabled, "SslEnabled", BOOL, 0, 0, "ssl", "GANTRY_SSL_ENABLED", "false", "BOOL", NULL,                        \
      "HTTPS instead of HTTP, with SslCertificate.")                                                                   \
    X(SslCertificate, "SslCertificate", PATH, 0, 4000, "ssl-certificate", "GANTRY_SSL_CERTIFICATE", "", "FILE",        \
      NULL, "PEM file with the certificates and the key for HTTPS.")

#define CONFIG_TABLE_LATER(X)                                                                                          \
    X(DicomTlsEnabled, "DicomTlsEnabled", BOOL, 0, 0, "dicom-tls", "GANTRY_DICOM_TLS_ENABLED", "false", "BOOL",        \
      "DICOM over TLS is not built yet; with true Gantry refuses to start, it never falls back to plain DICOM",        \
      "DICOM over TLS.")                                                                                               \
    X(DicomTlsCertificate, "DicomTlsCertificate", PATH, 0, 4000, "dicom-tls-certificate",                              \
      "GANTRY_DICOM_TLS_CERTIFICATE", "", "FILE", "DICOM over TLS is not built yet; the file is not read",             \
      "Our certificate for DICOM over TLS.")                                                                           \
    X(DicomTlsPrivateKey, "DicomTlsPrivateKey", PATH, 0, 4000, "dicom-tls-private-key",                                \
      "GANTRY_DICOM_TLS_PRIVATE_KEY", "", "FILE", "DICOM over TLS is not built yet; the file is not read",             \
      "Its private key.")                                                                                              \
    X(DicomTlsTrustedCertificates, "DicomTlsTrustedCertificates", PATH, 0, 4000, "dicom-tls-trusted-certificates",     \
      "GANTRY_DICOM_TLS_TRUSTED_CERTIFICATES", "", "FILE", "DICOM over TLS is not built yet; the file is not read",    \
      "Whose certificates are accepted.")                                                                              \
    X(PostgreSQL_EnableIndex, "PostgreSQL.EnableIndex", BOOL, 0, 0, "postgresql-index",                                \
      "GANTRY_POSTGRESQL_ENABLE_INDEX", "false", "BOOL", CONFIG_NO_POSTGRES, "Keep the index in PostgreSQL.")          \
    X(PostgreSQL_EnableStorage, "PostgreSQL.EnableStorage", BOOL, 0, 0, "postgresql-storage",                          \
      "GANTRY_POSTGRESQL_ENABLE_STORAGE", "false", "BOOL", CONFIG_NO_POSTGRES, "Keep objects in PostgreSQL.")          \
    X(PostgreSQL_Host, "PostgreSQL.Host", TEXT, 0, 255, "postgresql-host", "GANTRY_POSTGRESQL_HOST", "", "HOST",       \
      CONFIG_NO_POSTGRES, "Where PostgreSQL runs.")                                                                    \
    X(PostgreSQL_Port, "PostgreSQL.Port", INT, 1, 65535, "postgresql-port", "GANTRY_POSTGRESQL_PORT", "5432", "N",     \
      CONFIG_NO_POSTGRES, "Its port.")                                                                                 \
    X(PostgreSQL_Database, "PostgreSQL.Database", TEXT, 0, 255, "postgresql-database", "GANTRY_POSTGRESQL_DATABASE",   \
      "", "NAME", CONFIG_NO_POSTGRES, "The database.")                                                                 \
    X(PostgreSQL_Username, "PostgreSQL.Username", TEXT, 0, 255, "postgresql-username", "GANTRY_POSTGRESQL_USERNAME",   \
      "", "NAME", CONFIG_NO_POSTGRES, "The database's user.")                                                          \
    X(PostgreSQL_Password, "PostgreSQL.Password", SECRET, 0, 4000, NULL, "GANTRY_POSTGRESQL_PASSWORD", "", "",         \
      CONFIG_NO_POSTGRES, "Its password; never a flag, because others can read the command line.")                     \
    X(AwsS3Storage_BucketName, "AwsS3Storage.BucketName", TEXT, 0, 255, "s3-bucket", "GANTRY_S3_BUCKET_NAME", "",      \
      "NAME", CONFIG_NO_S3, "The bucket for objects.")                                                                 \
    X(AwsS3Storage_Region, "AwsS3Storage.Region", TEXT, 0, 255, "s3-region", "GANTRY_S3_REGION", "", "NAME",           \
      CONFIG_NO_S3, "Its region.")                                                                                     \
    X(AwsS3Storage_Endpoint, "AwsS3Storage.Endpoint", TEXT, 0, 1000, "s3-endpoint", "GANTRY_S3_ENDPOINT", "", "URL",   \
      CONFIG_NO_S3, "Another S3 server than Amazon's.")                                                                \
    X(AwsS3Storage_AccessKey, "AwsS3Storage.AccessKey", SECRET, 0, 255, NULL, "GANTRY_S3_ACCESS_KEY", "", "",           \
      CONFIG_NO_S3, "Access key.")                                                                                     \
    X(AwsS3Storage_SecretKey, "AwsS3Storage.SecretKey", SECRET, 0, 255, NULL, "GANTRY_S3_SECRET_KEY", "", "",           \
      CONFIG_NO_S3, "Secret key.")                                                                                     \
    X(AzureBlobStorage_ContainerName, "AzureBlobStorage.ContainerName", TEXT, 0, 255, "azure-container",               \
      "GANTRY_AZURE_CONTAINER_NAME", "", "NAME", CONFIG_NO_AZURE, "The container for objects.")                        \
    X(AzureBlobStorage_ConnectionString, "AzureBlobStorage.ConnectionString", SECRET, 0, 4000, NULL,                   \
      "GANTRY_AZURE_CONNECTION_STRING", "", "", CONFIG_NO_AZURE, "How to reach it.")                                   \
    X(StorageCompression, "StorageCompression", BOOL, 0, 0, "storage-compression", "GANTRY_STORAGE_COMPRESSION",       \
      "false", "BOOL", "objects are kept byte for byte as they came, not compressed",                                  \
      "Compress stored objects.")                                                                                      \
    X(ConcurrentJobs, "ConcurrentJobs", INT, 1, 1000, "concurrent-jobs", "GANTRY_CONCURRENT_JOBS", "2", "N",           \
      "sending jobs are not built yet; each C-MOVE runs on its own association", "Jobs at once.")                      \
    X(MaximumStorageSize, "MaximumStorageSize", INT, 0, 1000000000, "maximum-storage-size",                            \
      "GANTRY_MAXIMUM_STORAGE_SIZE", "0", "MB", "nothing is deleted to make room; see ReserveSpace",                   \
      "Orthanc deletes the oldest patients beyond this; 0: never.")

#define CONFIG_TABLE(X)                                                                                                \
    CONFIG_TABLE_SERVICE(X)                                                                                            \
    CONFIG_TABLE_DICOM(X) CONFIG_TABLE_LIMITS(X) CONFIG_TABLE_ARCHIVE(X) CONFIG_TABLE_HTTP(X) CONFIG_TABLE_LATER(X)

#endif
