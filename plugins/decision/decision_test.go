package decision

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// A journal holds exactly the newest records, whatever comes in and whatever
// size it is given meanwhile.
func TestJournalHoldsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		journal := NewJournal(size)
		var kept []*Record
		for i, id := range rapid.SliceOf(rapid.IntRange(-8, 12)).Draw(t, "ids") {
			if id < 0 {
				size = -id
				journal.Resize(size)
			} else {
				r := &Record{RequestID: strconv.Itoa(id), Status: i}
				journal.Add(r)
				kept = append(kept, r)
			}
			kept = kept[max(0, len(kept)-size):]
		}
		for id := range 13 {
			want := -1
			for _, r := range kept {
				if r.RequestID == strconv.Itoa(id) {
					want = r.Status
				}
			}
			got, ok := journal.Get(strconv.Itoa(id))
			if ok != (want >= 0) || (ok && got.Status != want) {
				t.Fatalf("record %d: got %v %v, want %d", id, ok, got, want)
			}
		}
		list := journal.Recent(Filter{}, 100)
		if len(list) != len(kept) {
			t.Fatalf("got %d records, want %d", len(list), len(kept))
		}
		for i, r := range list {
			if r != kept[len(kept)-1-i] {
				t.Fatalf("record %d from the newest: got %d, want %d", i, r.Status, kept[len(kept)-1-i].Status)
			}
		}
	})
}

func TestJournalReplaces(t *testing.T) {
	journal := NewJournal(2)
	first, second := &Record{RequestID: "a", Status: 1}, &Record{RequestID: "a", Status: 2}
	journal.Add(first)
	journal.Replace(first, second)
	if list := journal.Recent(Filter{}, 10); len(list) != 1 || list[0] != second {
		t.Errorf("got %d records, want the second alone", len(list))
	}
	journal.Add(&Record{RequestID: "b"})
	journal.Add(&Record{RequestID: "c"})
	// Its place has been taken: kept as a new one.
	third := &Record{RequestID: "a", Status: 3}
	journal.Replace(second, third)
	if got, ok := journal.Get("a"); !ok || got != third {
		t.Errorf("got %v %v, want the third", got, ok)
	}
	if third.Seq != 5 {
		t.Errorf("got number %d, want 5", third.Seq)
	}
}

func TestFilter(t *testing.T) {
	r := &Record{
		Outcome: Shadow, Status: 200, Path: "/v1/users", Owner: "o1", Subject: "u1", Policy: "",
		Steps: []Step{{Policy: "gateway_auth", Result: StepPassed}, {Policy: "gateway_roles", Result: StepShadow, Reason: "role_missing"}},
	}
	for _, tc := range []struct {
		name   string
		filter Filter
		want   bool
	}{
		{"empty", Filter{}, true},
		{"reason of a step", Filter{Reason: "role_missing"}, true},
		{"another reason", Filter{Reason: "not_owner"}, false},
		{"policy of the step", Filter{Policy: "gateway_roles"}, true},
		{"policy that passed", Filter{Policy: "gateway_auth"}, false},
		{"owner", Filter{Owner: "o1"}, true},
		{"subject", Filter{Owner: "u1"}, true},
		{"another owner", Filter{Owner: "u"}, false},
		{"path", Filter{Path: "/v1/"}, true},
		{"another path", Filter{Path: "/v2"}, false},
		{"outcome", Filter{Outcome: Shadow}, true},
		{"another outcome", Filter{Outcome: Refused}, false},
		{"status", Filter{Status: 200}, true},
		{"class", Filter{Status: 2}, true},
		{"another class", Filter{Status: 4}, false},
		{"all of them", Filter{Reason: "role_missing", Owner: "u1", Path: "/v1/users", Status: 200, Outcome: Shadow}, true},
		{"one of them not", Filter{Reason: "role_missing", Owner: "u2"}, false},
	} {
		if got := tc.filter.Matches(r); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.name, got, tc.want)
		}
	}
}

// A follower who does not read loses records and is told how many; nobody waits
// for it.
func TestFollow(t *testing.T) {
	journal := NewJournal(10)
	for i := range 5 {
		journal.Add(&Record{RequestID: strconv.Itoa(i), Path: "/a"})
	}
	f, ok := journal.Follow(Filter{Path: "/a"}, 3)
	if !ok {
		t.Fatal("no follower")
	}
	if a, b := <-f.Records, <-f.Records; a.Seq != 4 || b.Seq != 5 {
		t.Errorf("got %d and %d, want what was missed: 4 and 5", a.Seq, b.Seq)
	}
	journal.Add(&Record{RequestID: "x", Path: "/b"})
	for i := range followerBuffer + 7 {
		journal.Add(&Record{RequestID: strconv.Itoa(i), Path: "/a"})
	}
	if got := <-f.Records; got.Seq != 7 {
		t.Errorf("got %d, want 7: the one before is of another path", got.Seq)
	}
	if got := f.Dropped(); got != 7 {
		t.Errorf("got %d lost, want 7", got)
	}
	if got := f.Dropped(); got != 0 {
		t.Errorf("asked again: got %d lost, want 0", got)
	}
	journal.Unfollow(f)
	for len(f.Records) != 0 {
		<-f.Records
	}
	journal.Add(&Record{Path: "/a"})
	if len(f.Records) != 0 {
		t.Error("a record after the end")
	}
	for range maxFollowers {
		if _, ok := journal.Follow(Filter{}, 1<<63); !ok {
			t.Fatal("refused below the bound")
		}
	}
	if _, ok := journal.Follow(Filter{}, 0); ok {
		t.Error("taken above the bound")
	}
}

func BenchmarkAdd(b *testing.B) {
	journal := NewJournal(DefaultSize)
	id := 0
	b.ReportAllocs()
	for b.Loop() {
		id++
		journal.Add(&Record{RequestID: strconv.Itoa(id)})
	}
}
