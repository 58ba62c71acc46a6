/* statements: the fixed SQL of the index, each with a name; queries by attributes are composed in query_*.c.
 *
 * Both SQLite and PostgreSQL understand all of it. Parameters appear for the first time in the order of their numbers. Times
 * are microseconds since 1970 UTC, dates numbers yyyymmdd; docs/index-schema.md explains tables and columns. */
#ifndef GANTRY_ARCHIVE_INDEX_STATEMENTS_H
#define GANTRY_ARCHIVE_INDEX_STATEMENTS_H

#define SQL_KNOWN "i.id, i.hash, i.length, i.pack, i.location, i.dataset_offset, i.sop_class, i.transfer_syntax, i.findings, i.damaged"

#define SQL_KEPT "r.id, s.study_uid, r.series_uid, r.n_instances, r.revision, m.length, m.crc, m.data FROM study s " \
                 "JOIN series r ON r.study = s.id LEFT JOIN series_metadata m ON m.id = r.id AND " \
                 "m.n_instances = r.n_instances AND m.revision = r.revision"

#define SQL_TABLE(X)                                                                                                              \
    /* state: one row, what every batch changes */                                                                                \
    X(STATE_GET, "SELECT sequence, pack, pack_end, patients, studies, series, instances, bytes, events FROM state WHERE id = 1")  \
    X(STATE_ADD, "UPDATE state SET sequence = $1, patients = patients + $2, studies = studies + $3, series = series + $4, "       \
                 "instances = instances + $5, bytes = bytes + $6, events = events + $7 WHERE id = 1")                             \
    X(STATE_ADD_POSITION, "UPDATE state SET sequence = $1, patients = patients + $2, studies = studies + $3, "                    \
                          "series = series + $4, instances = instances + $5, bytes = bytes + $6, events = events + $7, "          \
                          "pack = $8, pack_end = $9 WHERE id = 1")                                                                \
    /* patients and studies */                                                                                                    \
    X(PATIENT_FIND, "SELECT id FROM patient WHERE patient_id = $1 AND issuer = $2")                                               \
    X(PATIENT_ADD, "INSERT INTO patient (id, patient_id, issuer, name, name_a, name_i, name_p, birth_date, sex, created_us) "     \
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (patient_id, issuer) DO NOTHING")                \
    X(STUDY_FIND, "SELECT id, patient_id, issuer FROM study WHERE study_uid = $1")                                                \
    X(STUDY_ADD, "INSERT INTO study (id, study_uid, patient, patient_id, issuer, name, name_a, name_i, name_p, birth_date, "      \
                 "sex, study_date, study_time, study_time_text, accession, study_id, description, referring, modalities, "        \
                 "sop_classes, n_series, n_instances, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "  \
                 "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 0, 0, $21, $21) ON CONFLICT (study_uid) DO NOTHING")          \
    X(STUDY_ATTRS_ADD, "INSERT INTO study_attrs (id, data) VALUES ($1, $2)")                                                      \
    X(STUDY_ATTRS, "SELECT data FROM study_attrs WHERE id = $1")                                                                  \
    X(STUDY_COUNT, "UPDATE study SET n_series = n_series + $1, n_instances = n_instances + $2, updated_us = $3 WHERE id = $4")    \
    X(STUDY_SETS, "SELECT modalities, sop_classes FROM study WHERE id = $1")                                                      \
    X(STUDY_SETS_PUT, "UPDATE study SET modalities = $1, sop_classes = $2 WHERE id = $3")                                         \
    /* series */                                                                                                                  \
    X(SERIES_FIND, "SELECT id, study, conflict FROM series WHERE series_uid = $1")                                                \
    X(SERIES_ADD, "INSERT INTO series (id, series_uid, study, modality, number, description, body_part, series_date, "            \
                  "series_time, series_time_text, station, performing, protocol, laterality, pps_date, pps_time, "                \
                  "pps_time_text, conflict, n_instances, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "      \
                  "$12, $13, $14, $15, $16, $17, $18, 0, $19) ON CONFLICT (series_uid, study) DO NOTHING")                        \
    X(SERIES_ATTRS_ADD, "INSERT INTO series_attrs (id, data) VALUES ($1, $2)")                                                    \
    X(SERIES_ATTRS, "SELECT data FROM series_attrs WHERE id = $1")                                                                \
    X(SERIES_COUNT, "UPDATE series SET n_instances = n_instances + $1 WHERE id = $2")                                             \
    X(SERIES_REVISE, "UPDATE series SET revision = revision + 1 WHERE id = $1")                                                   \
    X(SERIES_STUDY, "SELECT study FROM series WHERE id = $1")                                                                     \
    /* instances */                                                                                                               \
    X(INSTANCE_ADD, "INSERT INTO instance (id, sop_uid, series, sop_class, number, transfer_syntax, pack, location, length, "     \
                    "dataset_offset, hash, n_rows, n_columns, n_frames, content_date, content_time, content_time_text, "          \
                    "received_us, source, findings, damaged) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "    \
                    "$14, $15, $16, $17, $18, $19, $20, 0) ON CONFLICT (sop_uid) DO NOTHING")                                     \
    X(INSTANCE_REPLACE, "UPDATE instance SET series = $1, sop_class = $2, number = $3, transfer_syntax = $4, pack = $5, "         \
                        "location = $6, length = $7, dataset_offset = $8, hash = $9, n_rows = $10, n_columns = $11, "             \
                        "n_frames = $12, content_date = $13, content_time = $14, content_time_text = $15, received_us = $16, "    \
                        "source = $17, findings = $18, damaged = 0 WHERE id = $19")                                               \
    X(INSTANCE_FIND, "SELECT " SQL_KNOWN ", i.series FROM instance i WHERE i.sop_uid = $1")                                       \
    X(INSTANCE_KNOWN, "SELECT " SQL_KNOWN ", r.series_uid, s.study_uid FROM instance i JOIN series r ON r.id = i.series "         \
                      "JOIN study s ON s.id = r.study WHERE i.sop_uid = $1")                                                      \
    X(INSTANCE_KNOWN_BY_ID, "SELECT " SQL_KNOWN ", r.series_uid, s.study_uid, i.sop_uid FROM instance i "                         \
                            "JOIN series r ON r.id = i.series JOIN study s ON s.id = r.study WHERE i.id = $1")                    \
    X(INSTANCE_DAMAGED, "UPDATE instance SET damaged = 1 WHERE id = $1")                                                          \
    X(DETAIL_ADD, "INSERT INTO instance_detail (id, metadata, frames) VALUES ($1, $2, $3)")                                       \
    X(DETAIL_DROP, "DELETE FROM instance_detail WHERE id = $1")                                                                   \
    X(DETAIL_METADATA, "SELECT metadata FROM instance_detail WHERE id = $1")                                                      \
    X(DETAIL_FRAMES, "SELECT frames FROM instance_detail WHERE id = $1")                                                          \
    X(SUPERSEDED_ADD, "INSERT INTO superseded (instance, pack, location, length, dataset_offset, hash, transfer_syntax, "         \
                      "sop_class, at_us) SELECT id, pack, location, length, dataset_offset, hash, transfer_syntax, sop_class, "   \
                      "$1 FROM instance WHERE id = $2")                                                                           \
    X(SUPERSEDED_COUNT, "SELECT count(*) FROM superseded")                                                                        \
    /* metadata of whole series, kept ready (series_metadata.c) */                                                                \
    X(KEPT_SERIES, "SELECT " SQL_KEPT " WHERE s.study_uid = $1 AND r.series_uid = $2")                                            \
    X(KEPT_STUDY, "SELECT " SQL_KEPT " WHERE s.study_uid = $1 ORDER BY coalesce(r.number, 0), r.id")                              \
    X(KEPT_BY_ID, "SELECT " SQL_KEPT " WHERE r.id = $1")                                                                          \
    X(KEPT_PUT, "INSERT INTO series_metadata (id, n_instances, revision, length, crc, data) SELECT id, n_instances, revision, "   \
                "$1, $2, $3 FROM series WHERE id = $4 AND n_instances = $5 AND revision = $6 ON CONFLICT (id) DO UPDATE SET "     \
                "n_instances = excluded.n_instances, revision = excluded.revision, length = excluded.length, "                    \
                "crc = excluded.crc, data = excluded.data")                                                                       \
    X(SERIES_MEMBERS, "SELECT id, sop_uid FROM instance WHERE series = $1 ORDER BY coalesce(number, 0), id")                      \
    X(SERIES_GROWN, "SELECT series, max(id) FROM instance WHERE id > $1 GROUP BY series LIMIT $2")                                \
    /* who stands for a patient, study or series when an attribute is asked that has no place of its own */                       \
    X(FIRST_STUDY, "SELECT min(id) FROM study WHERE patient = $1")                                                                \
    X(FIRST_SERIES, "SELECT min(id) FROM series WHERE study = $1")                                                                \
    X(FIRST_INSTANCE, "SELECT min(id) FROM instance WHERE series = $1")                                                           \
    /* events: new studies, series and instances are their own, numbered from the same sequence as the table's */                 \
    X(EVENT_ADD, "INSERT INTO event (sequence, at_us, type, instance, series, study, detail) "                                    \
                 "VALUES ($1, $2, $3, $4, $5, $6, $7)")                                                                           \
    X(EVENTS, "SELECT sequence, at_us, instance, series, study, detail, type FROM event WHERE sequence > $1 "                     \
              "ORDER BY sequence LIMIT $2")                                                                                       \
    X(EVENTS_INSTANCE, "SELECT i.id, i.received_us, i.id, i.series, r.study, i.sop_uid FROM instance i JOIN series r "            \
                       "ON r.id = i.series WHERE i.id > $1 ORDER BY i.id LIMIT $2")                                               \
    X(EVENTS_SERIES, "SELECT id, created_us, NULL, id, study, series_uid FROM series WHERE id > $1 ORDER BY id LIMIT $2")         \
    X(EVENTS_STUDY, "SELECT id, created_us, NULL, NULL, id, study_uid FROM study WHERE id > $1 ORDER BY id LIMIT $2")             \
    /* jobs */                                                                                                                    \
    X(JOB_ADD, "INSERT INTO job (kind, priority, payload, not_before_us, lease_us, attempts, state, created_us) "                 \
               "VALUES ($1, $2, $3, $4, 0, 0, 0, $5) RETURNING id")                                                               \
    X(JOB_DUE, "SELECT id FROM job WHERE state = 0 AND kind = $1 AND not_before_us <= $2 AND lease_us <= $2 LIMIT 1")             \
    X(JOB_DONE, "UPDATE job SET state = 1, lease_us = 0, result = $1, ended_us = $2 WHERE id = $3 AND state = 0")                 \
    X(JOB_RETRY, "UPDATE job SET lease_us = 0, not_before_us = $1, result = $2 WHERE id = $3 AND state = 0")                      \
    X(JOBS_OPEN, "SELECT count(*) FROM job WHERE state = 0")

typedef enum sql_statement {
#define X(name, text) SQL_##name,
    SQL_TABLE(X)
#undef X
    SQL_COUNT
} sql_statement;

const char *sql_text(sql_statement which);

#endif
