package sqlstore

import (
	"testing"
	"testing/fstest"
)

func TestLoadMigrationsWantsOrder(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, files := range map[string]fstest.MapFS{
		"gap":         {"migrations/0001_a.sql": file("a"), "migrations/0003_c.sql": file("c")},
		"twice":       {"migrations/0001_a.sql": file("a"), "migrations/0001_b.sql": file("b")},
		"from 0":      {"migrations/0000_a.sql": file("a")},
		"not numbers": {"migrations/first.sql": file("a")},
	} {
		if _, err := LoadMigrations(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	unix, err := LoadMigrations(fstest.MapFS{"migrations/0001_a.sql": file("a\nb\n")})
	if err != nil {
		t.Fatal(err)
	}
	windows, err := LoadMigrations(fstest.MapFS{"migrations/0001_a.sql": file("a\r\nb\r\n")})
	if err != nil {
		t.Fatal(err)
	}
	if unix[0].Checksum != windows[0].Checksum {
		t.Error("line ends change the checksum")
	}
}
