package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ainative/portcullis/plugins/store"
)

// countsAtOnce bounds a transaction, so that other writers get their turn.
const countsAtOnce = 1000

// readCountsTime bounds the reading of all counts of a zone.
const readCountsTime = time.Minute

// SaveCounts implements store.Store.
func (s *Records) SaveCounts(ctx context.Context, counts []store.Count) error {
	for _, c := range counts {
		if err := store.CheckCount(c); err != nil {
			return err
		}
	}
	for len(counts) > 0 {
		part := counts[:min(len(counts), countsAtOnce)]
		counts = counts[len(part):]
		write := saveCounts
		if s.db.WriteCounts != nil {
			write = s.db.WriteCounts
		}
		if err := s.db.Count(ctx, func(ctx context.Context, tx *sql.Tx) error { return write(ctx, tx, part) }); err != nil {
			return s.failed("saving the counts of limits", err)
		}
	}
	return nil
}

const (
	countColumns = `zone, key, period, strict, full_at, overdrawn, events`
	selectCounts = `SELECT ` + countColumns + ` FROM counts`
	// mergeCounts is Count.Merge of buckets; strict windows have been merged before.
	mergeCounts = ` ON CONFLICT (zone, key, period, strict) DO UPDATE SET full_at = excluded.full_at, overdrawn = excluded.overdrawn, events = excluded.events
		WHERE excluded.full_at > counts.full_at OR counts.strict OR excluded.full_at = counts.full_at AND excluded.overdrawn > counts.overdrawn`

	// InsertCounts adds or merges the counts of CountColumns, for a database that has
	// arrays.
	InsertCounts = `INSERT INTO counts (` + countColumns + `)
		SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::boolean[], $5::bigint[], $6::boolean[], $7::text[])` + mergeCounts
	// StrictCounts selects the strict ones by the first three of CountColumns.
	StrictCounts = selectCounts + ` WHERE strict AND (zone, key, period) IN (SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[]))`
)

// CountColumns are the columns of many counts, an array each.
func CountColumns(counts []store.Count) []any {
	n := len(counts)
	zones, keys, periods, strict := make([]string, n), make([][]byte, n), make([]int64, n), make([]bool, n)
	full, overdrawn, events := make([]int64, n), make([]bool, n), make([]string, n)
	for i, c := range counts {
		zones[i], keys[i], periods[i], strict[i] = c.Zone, c.Key[:], c.Period.Milliseconds(), c.Strict
		full[i], overdrawn[i], events[i] = c.Full.UnixMicro(), c.Overdrawn, encodeEvents(c.Events)
	}
	return []any{zones, keys, periods, strict, full, overdrawn, events}
}

func saveCounts(ctx context.Context, tx *sql.Tx, counts []store.Count) (err error) {
	upsert, err := tx.PrepareContext(ctx, `INSERT INTO counts (`+countColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`+mergeCounts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, upsert.Close()) }()
	for _, c := range counts {
		if c.Strict {
			there, err := ScanCount(tx.QueryRowContext(ctx, selectCounts+` WHERE zone = $1 AND key = $2 AND period = $3 AND strict = $4`,
				c.Zone, c.Key[:], c.Period.Milliseconds(), true))
			if err == nil {
				c = c.Merge(there)
			} else if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if _, err := upsert.ExecContext(ctx, c.Zone, c.Key[:], c.Period.Milliseconds(), c.Strict, c.Full.UnixMicro(), c.Overdrawn, encodeEvents(c.Events)); err != nil {
			return err
		}
	}
	return nil
}

// Counts implements store.Store.
func (s *Records) Counts(ctx context.Context, zone string, now time.Time, each func(store.Count) error) (err error) {
	defer func() { err = s.failed("reading the counts of limits", err) }()
	// Not Bound: a zone may have a million.
	ctx, cancel := context.WithTimeout(ctx, readCountsTime)
	defer cancel()
	rows, err := s.db.Read.QueryContext(ctx, selectCounts+` WHERE zone = $1 AND full_at > $2`, zone, now.UnixMicro())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, err := ScanCount(rows)
		if err != nil {
			return err
		}
		if err := each(c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// DeleteCounts implements store.Store.
func (s *Records) DeleteCounts(ctx context.Context, zone string, key [16]byte) error {
	return s.failed("deleting the counts of a limit", s.db.Count(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM counts WHERE zone = $1 AND key = $2`, zone, key[:])
		return err
	}))
}

// SweepCounts implements store.Store.
func (s *Records) SweepCounts(ctx context.Context, before time.Time) (int, error) {
	n, err := s.sweep(ctx, s.db.Count, `DELETE FROM counts WHERE full_at < $1`, before.Truncate(time.Second).UnixMicro())
	return n, s.failed("sweeping the counts of limits", err)
}

// ScanCount reads a row of counts.
func ScanCount(r Row) (store.Count, error) {
	var c store.Count
	var key []byte
	var period, full int64
	var events string
	if err := r.Scan(&c.Zone, &key, &period, &c.Strict, &full, &c.Overdrawn, &events); err != nil {
		return store.Count{}, err
	}
	if len(key) != len(c.Key) {
		return store.Count{}, fmt.Errorf("reading a count: its key has %d bytes", len(key))
	}
	c.Key = [16]byte(key)
	c.Period = time.Duration(period) * time.Millisecond
	c.Full = time.UnixMicro(full).UTC()
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(events), &pairs); err != nil {
		return store.Count{}, fmt.Errorf("reading the events of a count: %w", err)
	}
	for _, pair := range pairs {
		c.Events = append(c.Events, store.CountEvents{At: time.UnixMicro(pair[0]).UTC(), N: pair[1]})
	}
	return c, nil
}

// encodeEvents gives a JSON array of [microseconds, number].
func encodeEvents(events []store.CountEvents) string {
	pairs := [][2]int64{}
	for _, e := range events {
		pairs = append(pairs, [2]int64{e.At.UnixMicro(), e.N})
	}
	// Marshalling numbers does not fail.
	text, _ := json.Marshal(pairs)
	return string(text)
}
