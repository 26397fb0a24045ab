package postgres

import (
	"context"
	"database/sql"
	"time"

	"github.com/ainative/portcullis/plugins/store"
	"github.com/ainative/portcullis/plugins/store/internal/sqlstore"
)

// countName is what names a count.
type countName struct {
	zone   string
	key    [16]byte
	period time.Duration
	strict bool
}

func nameOf(c store.Count) countName { return countName{c.Zone, c.Key, c.Period, c.Strict} }

// writeCounts merges counts into those that are kept, with two questions for all of
// them.
func writeCounts(ctx context.Context, tx *sql.Tx, counts []store.Count) error {
	// One statement can't write a row twice.
	place := make(map[countName]int, len(counts))
	var all, strict []store.Count
	for _, c := range counts {
		i, twice := place[nameOf(c)]
		if twice {
			all[i] = all[i].Merge(c)
			continue
		}
		place[nameOf(c)] = len(all)
		all = append(all, c)
		if c.Strict {
			strict = append(strict, c)
		}
	}
	if len(strict) > 0 {
		there, err := sqlstore.Collect(ctx, tx, sqlstore.ScanCount, sqlstore.StrictCounts, sqlstore.CountColumns(strict)[:3]...)
		if err != nil {
			return err
		}
		for _, c := range there {
			i := place[nameOf(c)]
			all[i] = all[i].Merge(c)
		}
	}
	_, err := tx.ExecContext(ctx, sqlstore.InsertCounts, sqlstore.CountColumns(all)...)
	return err
}
