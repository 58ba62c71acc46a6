/* wiring: turns the words of the configuration into the structures of the rooms below.
 *
 * Here is decided who may do what over DICOM (T16, T18): on a loopback address everybody everything; on any other only known peers,
 * from their address; while no peer is known, everybody C-ECHO. DicomAlwaysAllow… set explicitly adds or takes a right. */
#include "wiring.h"

#include <stdlib.h>

void wire_archive(const config *c, archive_config *out) {
    const char *duplicates = config_text(c, CONFIG_Duplicates);
    *out = (archive_config){
        .directory = config_text(c, CONFIG_StorageDirectory),
        .duplicates = strcmp(duplicates, "replace") == 0  ? ARCHIVE_REPLACE
                      : strcmp(duplicates, "reject") == 0 ? ARCHIVE_REJECT
                                                          : ARCHIVE_KEEP,
        .refuse_invalid = config_bool(c, CONFIG_RefuseInvalid),
        .without_quarantine = !config_bool(c, CONFIG_Quarantine),
        .quarantine_bytes = (uint64_t)config_int(c, CONFIG_QuarantineSize),
        .reserve_bytes = config_origin_of(c, CONFIG_ReserveSpace) == CONFIG_FROM_DEFAULT
                             ? 0
                             : (uint64_t)config_int(c, CONFIG_ReserveSpace),
        .pack_limit = (size_t)config_int(c, CONFIG_PackLimit),
        .memory = (size_t)config_int(c, CONFIG_MemoryForIngest),
        .read_only = config_bool(c, CONFIG_ReadOnly),
        .must_exist = config_bool(c, CONFIG_StorageMustExist),
    };
}

uint32_t wire_unknown_permissions(const config *c) {
    static const struct {
        config_id id;
        uint32_t bits;
    } rights[] = {
        { CONFIG_DicomAlwaysAllowEcho, GATEWAY_MAY_ECHO },
        { CONFIG_DicomAlwaysAllowStore, GATEWAY_MAY_STORE | GATEWAY_MAY_COMMIT },
        { CONFIG_DicomAlwaysAllowFind, GATEWAY_MAY_FIND },
        { CONFIG_DicomAlwaysAllowGet, GATEWAY_MAY_GET },
        { CONFIG_DicomAlwaysAllowMove, GATEWAY_MAY_MOVE },
    };
    bool loopback = config_address_is_loopback(config_dicom_address(c));
    uint32_t bits = loopback ? GATEWAY_MAY_ALL : GATEWAY_MAY_ECHO;
    for (size_t i = 0; i < GN_ARRAY_LEN(rights); i++) {
        int says = config_tristate(c, rights[i].id);
        if (says > 0) bits |= rights[i].bits;
        if (says == 0) bits &= ~rights[i].bits;
    }
    return bits;
}

/* Strangers are rejected on the doorstep unless there is something that they may do. */
static gateway_calling_rule calling_rule(const config *c, uint32_t unknown) {
    size_t peers;
    (void)config_peers(c, &peers);
    if (config_address_is_loopback(config_dicom_address(c))) return GATEWAY_CALLING_ANY;
    if (!peers || (unknown & ~(uint32_t)GATEWAY_MAY_ECHO)) return GATEWAY_CALLING_ANY;
    return config_tristate(c, CONFIG_DicomAlwaysAllowEcho) > 0 ? GATEWAY_CALLING_ANY : GATEWAY_CALLING_KNOWN;
}

static int wire_peers(const config *c, wired_gateway *w, gn_error *e) {
    size_t count;
    const peer *p = config_peers(c, &count);
    w->peers = calloc(count + 1, sizeof *w->peers);
    if (!w->peers) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the peers");
    for (size_t i = 0; i < count; i++)
        w->peers[i] = (gateway_peer){
            .name = p[i].name,
            .aet = p[i].aet,
            .host = p[i].host[0] ? p[i].host : NULL,
            .port = p[i].port,
            .permissions = p[i].permissions,
            .any_address = !config_bool(c, CONFIG_DicomCheckModalityHost),
        };
    w->config.peers = w->peers;
    w->config.peer_count = count;
    return 0;
}

static size_t add_once(const char **list, size_t count, const char *uid) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], uid) == 0) return count;
    list[count] = uid;
    return count + 1;
}

/* AcceptedTransferSyntaxes may hold patterns: they stand for all of the dictionary that match, in its order. */
static int wire_transfer_syntaxes(const config *c, wired_gateway *w, gn_error *e) {
    size_t patterns, known = dicom_transfer_syntax_count(), count = 0;
    const char *const *pattern = config_list(c, CONFIG_AcceptedTransferSyntaxes, &patterns);
    if (!patterns) return 0;
    w->transfer_syntaxes = calloc(known + patterns, sizeof *w->transfer_syntaxes);
    if (!w->transfer_syntaxes) return gn_fail(e, GN_E_NO_MEMORY, "no memory for the transfer syntaxes");
    for (size_t i = 0; i < patterns; i++) {
        bool found = false;
        for (size_t k = 0; k < known; k++) {
            const char *uid = dicom_transfer_syntax_at(k)->uid;
            if (!dicom_match_wildcard(pattern[i], strlen(pattern[i]), uid, strlen(uid), false)) continue;
            found = true;
            count = add_once(w->transfer_syntaxes, count, uid);
        }
        if (!found && dicom_uid_valid(pattern[i], strlen(pattern[i])))
            count = add_once(w->transfer_syntaxes, count, pattern[i]);
        else if (!found)
            return gn_fail(e, GN_E_CONFIG, "AcceptedTransferSyntaxes: no transfer syntax matches \"%.70s\"",
                           pattern[i]);
    }
    w->config.transfer_syntaxes = w->transfer_syntaxes;
    w->config.transfer_syntax_count = count;
    return 0;
}

static uint32_t ms(const config *c, config_id id) { return (uint32_t)config_int(c, id) * 1000; }

void wire_workers(const config *c, pixel_worker_config *out) {
    *out = (pixel_worker_config){
        .workers = (unsigned)config_int(c, CONFIG_DecoderWorkers),
        .memory = (uint64_t)config_int(c, CONFIG_DecoderMemory),
        .frame_timeout_ms = ms(c, CONFIG_DecoderTimeout),
    };
}

int wire_gateway(const config *c, wired_gateway *out, gn_error *e) {
    uint32_t unknown = wire_unknown_permissions(c);
    *out = (wired_gateway){ .config = {
        .aet = config_text(c, CONFIG_DicomAet),
        .check_called_aet = config_bool(c, CONFIG_DicomCheckCalledAet),
        .address = config_dicom_address(c),
        .port = (uint16_t)config_int(c, CONFIG_DicomPort),
        .max_pdu = (uint32_t)config_int(c, CONFIG_MaximumPduLength),
        .calling = calling_rule(c, unknown),
        .unknown_permissions = unknown,
        .nobody_unknown = unknown == 0,
        .order = strcmp(config_text(c, CONFIG_TransferSyntaxOrder), "configured") == 0 ? GATEWAY_ORDER_CONFIGURED : GATEWAY_ORDER_PROPOSED,
        .refuse_unknown_sop_classes = !config_bool(c, CONFIG_UnknownSopClassAccepted),
        .strict_hierarchy = config_bool(c, CONFIG_StrictHierarchy),
        .spool_directory = config_text(c, CONFIG_StorageDirectory),
        .limits = {
            .associations = (unsigned)config_int(c, CONFIG_MaximumAssociations),
            .associations_per_peer = (unsigned)config_int(c, CONFIG_MaximumAssociationsPerPeer),
            .lobby = (unsigned)config_int(c, CONFIG_MaximumWaitingConnections),
            .operations = (uint16_t)config_int(c, CONFIG_AsynchronousOperations),
            .identifier = (size_t)config_int(c, CONFIG_MaximumIdentifierSize),
            .find_results = (uint64_t)config_int(c, CONFIG_LimitFindResults),
            .find_deadline_ms = ms(c, CONFIG_FindTimeout),
            .transcode_bytes = (uint64_t)config_int(c, CONFIG_TranscodeMemory),
        },
        .timeouts = { .artim_ms = ms(c, CONFIG_ArtimTimeout), .idle_ms = ms(c, CONFIG_DicomScpTimeout), .dimse_ms = ms(c, CONFIG_MessageTimeout),
                      .write_ms = ms(c, CONFIG_WriteTimeout), .connect_ms = ms(c, CONFIG_DicomScuTimeout) },
        .progress_ms = (uint32_t)config_int(c, CONFIG_ProgressInterval),
        .commitment_retry_ms = ms(c, CONFIG_CommitmentRetry),
        .commitment_attempts = (unsigned)config_int(c, CONFIG_CommitmentAttempts),
    } };
    out->config.extra_aets = config_list(c, CONFIG_DicomExtraAets, &out->config.extra_aet_count);
    int rc = wire_peers(c, out, e);
    if (!rc) rc = wire_transfer_syntaxes(c, out, e);
    if (rc) wire_gateway_done(out);
    return rc;
}

void wire_gateway_done(wired_gateway *w) {
    free(w->peers);
    free(w->transfer_syntaxes);
    w->peers = NULL;
    w->transfer_syntaxes = NULL;
}

/* ---- HTTP ------------------------------------------------------------------------------------------------------------------- */

/* An address of other machines is used only with TLS, or when a proxy is said to do it; else HTTP stays on loopback (T16). */
static const char *http_address(const config *c, bool tls) {
    const char *a = config_text(c, CONFIG_HttpAddress);
    if (*a) return a;
    return config_bool(c, CONFIG_RemoteAccessAllowed) && (tls || config_bool(c, CONFIG_BehindTlsProxy)) ? "0.0.0.0" : "127.0.0.1";
}

void wire_http(const config *c, http_config *out) {
    const char *certificate = config_text(c, CONFIG_SslCertificate), *url = config_text(c, CONFIG_PublicUrl);
    bool tls = config_bool(c, CONFIG_SslEnabled) && *certificate;
    *out = (http_config){
        .address = http_address(c, tls),
        .port = (uint16_t)config_int(c, CONFIG_HttpPort),
        .open = strcmp(config_text(c, CONFIG_Authentication), "none") == 0 || !config_bool(c, CONFIG_AuthenticationEnabled),
        .certificate = tls ? certificate : NULL,
        .key = tls ? certificate : NULL,
        .plain_elsewhere = config_bool(c, CONFIG_BehindTlsProxy),
        .name = config_text(c, CONFIG_Name),
        .public_url = *url ? url : NULL,
    };
}
