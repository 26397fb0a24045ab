package request

import "testing"

// Counting an allowed request costs next to nothing: no allocation, no look-up.
func TestCountingAllocatesNothing(t *testing.T) {
	x := new(Exchange)
	allocated := testing.AllocsPerRun(1000, func() {
		x.stepCount = 0
		begun := PolicyAuth.Begin()
		PolicyAuth.End(begun)
		x.Step(PolicyAuth, Passed, x.Principal)
		x.Step(PolicyRoles, Passed, nil)
		x.Step(PolicyLimit, Passed, x.policy)
	})
	if allocated != 0 {
		t.Errorf("counting three decisions allocates %v times", allocated)
	}
}

// BenchmarkCounting measures what metrics add to an allowed request: three
// decisions counted, one in 16 of them timed.
func BenchmarkCounting(b *testing.B) {
	count := func(x *Exchange) {
		x.stepCount = 0
		for _, policy := range [...]Policy{PolicyAuth, PolicyRoles, PolicyLimit} {
			begun := policy.Begin()
			policy.End(begun)
			x.Step(policy, Passed, nil)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		x := new(Exchange)
		for b.Loop() {
			count(x)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			x := new(Exchange)
			for pb.Next() {
				count(x)
			}
		})
	})
}
