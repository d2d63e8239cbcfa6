package inject

import (
	"path/filepath"
	"regexp"
	"strings"
)

// What differs from one message to the next: an unnamed file, a name that was made to be unique, a user.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(` \(deleted\)$`), ""},
	{regexp.MustCompile(`(^|/)#\d+$`), "${1}#"},
	{regexp.MustCompile(`(^|/)\d{9,}\.[^/]*$`), "${1}NAME"},
	{regexp.MustCompile(`(^|/)paperknife-\d+$`), "${1}paperknife-N"},
	{regexp.MustCompile(`(^|/)user\d+(/|$)`), "${1}USER$2"},
}

// fileName is how a file is named in the name of a call: its path from dir, with nothing in it that is of one message. It is "" for a
// file elsewhere.
func fileName(dir, path string) string {
	if dir == "" {
		return ""
	}
	path, below := strings.CutPrefix(filepath.Clean(path), dir)
	if !below || path != "" && path[0] != '/' {
		return ""
	}
	path = strings.TrimPrefix(path, "/")
	for _, v := range varying {
		path = v.pattern.ReplaceAllString(path, v.name)
	}
	if path == "" {
		return "."
	}
	return path
}
