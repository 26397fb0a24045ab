package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxReportedCost caps a cost that an upstream reports, unless a burst of the
// policy is larger.
const MaxReportedCost = 1_000_000_000

// ReportedCost parses the cost that an upstream reports in a header: one value, a whole
// number of 0 or more, up to MaxReportedCost.
func ReportedCost(values []string, p *Policy) (int64, error) {
	if len(values) != 1 {
		return 0, fmt.Errorf("%d values, want one", len(values))
	}
	text := strings.Trim(values[0], " \t")
	cost, err := ParseCost(text)
	if err != nil || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%q, want a whole number of 0 or more", clip(text))
	}
	most := int64(MaxReportedCost)
	for _, limit := range p.Limits {
		most = max(most, limit.Burst)
	}
	if cost > most {
		return 0, fmt.Errorf("%d, want %d at most", cost, most)
	}
	return cost, nil
}

// ParseCost parses the cost of a request, a whole number of 0 or more. A negative cost
// would be a refund.
func ParseCost(text string) (int64, error) {
	cost, err := strconv.ParseInt(text, 10, 64)
	if err != nil || cost < 0 {
		return 0, fmt.Errorf("%q, want a whole number of 0 or more", clip(text))
	}
	return cost, nil
}

// FitsBursts returns an error if no request of this cost can ever pass.
func (p *Policy) FitsBursts(cost int64) error {
	if highest := p.MaxCost(); cost > highest {
		return fmt.Errorf("cost %d is above the burst of %s, which is %d, so that no request could ever pass: lower the cost or raise the burst", cost, p.Name, highest)
	}
	return nil
}
