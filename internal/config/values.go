package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Size is a number of octets, "256MiB" in the file.
type Size int64

var units = []struct {
	suffix string
	octets int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"B", 1}, // last: the others end in it
}

func parseSize(s string) (Size, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimRight(digits, " "), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.octets {
			break
		}
		return Size(n * u.octets), nil
	}
	return 0, fmt.Errorf("%q is no size", s)
}

// String returns the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []int{2, 1, 0} {
		if n := units[u].octets; int64(s) >= n && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	return d, nil
}

func parseMode(s string) (os.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is no file mode", s)
	}
	return os.FileMode(n), nil
}

// LegacySHA1 is what a SHA-1 signature is worth, by system. A system that is absent has "policy".
type LegacySHA1 map[string]string

var sha1Systems = []string{"dkim", "meta", "mtas", "userkeys"}

// Worth returns "policy" or "pass" for a system: "dkim", "meta", "mtas", "userkeys".
func (l LegacySHA1) Worth(system string) string {
	if l[system] == "pass" {
		return "pass"
	}
	return "policy"
}

func (l *LegacySHA1) decode(value any) error {
	*l = LegacySHA1{}
	switch value := value.(type) {
	case string:
		for _, system := range sha1Systems {
			(*l)[system] = value
		}
	case map[string]any:
		for system, worth := range value {
			if !slices.Contains(sha1Systems, system) {
				return fmt.Errorf("%q is no system to which it applies", system)
			}
			(*l)[system], _ = worth.(string)
		}
	default:
		return errors.New("must be a string or a table")
	}
	for _, worth := range *l {
		if worth != "policy" && worth != "pass" {
			return fmt.Errorf("%q is not allowed", worth)
		}
	}
	return nil
}
