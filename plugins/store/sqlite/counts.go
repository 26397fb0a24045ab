package sqlite

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

// SaveCounts implements store.Store.
func (s *Store) SaveCounts(ctx context.Context, counts []store.Count) error {
	for _, c := range counts {
		if err := store.CheckCount(c); err != nil {
			return err
		}
	}
	for len(counts) > 0 {
		part := counts[:min(len(counts), countsAtOnce)]
		counts = counts[len(part):]
		if err := s.change(ctx, func(tx *sql.Tx) error { return saveCounts(ctx, tx, part) }); err != nil {
			return failed("saving the counts of limits", err)
		}
	}
	return nil
}

func saveCounts(ctx context.Context, tx *sql.Tx, counts []store.Count) (err error) {
	upsert, err := tx.PrepareContext(ctx, `INSERT INTO counts (zone, key, period, strict, full_at, overdrawn, events)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET full_at = excluded.full_at, overdrawn = excluded.overdrawn, events = excluded.events
		WHERE excluded.full_at > full_at OR strict OR excluded.full_at = full_at AND excluded.overdrawn > overdrawn`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, upsert.Close()) }()
	for _, c := range counts {
		if c.Strict {
			there, err := scanCount(tx.QueryRowContext(ctx, selectCounts+` WHERE zone = ? AND key = ? AND period = ? AND strict = 1`,
				c.Zone, c.Key[:], c.Period.Milliseconds()))
			if err == nil {
				c = c.Merge(there)
			} else if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		// Marshalling numbers does not fail.
		events, _ := json.Marshal(encodeEvents(c.Events))
		if _, err := upsert.ExecContext(ctx, c.Zone, c.Key[:], c.Period.Milliseconds(), c.Strict, c.Full.UnixMicro(), c.Overdrawn, string(events)); err != nil {
			return err
		}
	}
	return nil
}

// Counts implements store.Store.
func (s *Store) Counts(ctx context.Context, zone string, now time.Time, each func(store.Count) error) (err error) {
	defer func() { err = failed("reading the counts of limits", err) }()
	rows, err := s.read.QueryContext(ctx, selectCounts+` WHERE zone = ? AND full_at > ?`, zone, now.UnixMicro())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, err := scanCount(rows)
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
func (s *Store) DeleteCounts(ctx context.Context, zone string, key [16]byte) error {
	return failed("deleting the counts of a limit", s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM counts WHERE zone = ? AND key = ?`, zone, key[:])
		return err
	}))
}

// SweepCounts implements store.Store.
func (s *Store) SweepCounts(ctx context.Context, before time.Time) (int, error) {
	n, err := s.sweep(ctx, `DELETE FROM counts WHERE full_at < ? * 1000000`, before)
	return n, failed("sweeping the counts of limits", err)
}

const selectCounts = `SELECT zone, key, period, strict, full_at, overdrawn, events FROM counts`

func scanCount(r row) (store.Count, error) {
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

func encodeEvents(events []store.CountEvents) [][2]int64 {
	pairs := [][2]int64{}
	for _, e := range events {
		pairs = append(pairs, [2]int64{e.At.UnixMicro(), e.N})
	}
	return pairs
}
