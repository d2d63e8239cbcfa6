package deliver_test

import (
	"errors"
	"strings"
	"testing"

	"paperknife/deliver"
	"paperknife/internal/status"
)

// header is fields by name and value; a value "!" cannot be read.
type header [][2]string

func (h header) Find(name string) []int {
	var list []int
	for i, f := range h {
		if strings.EqualFold(f[0], name) {
			list = append(list, i)
		}
	}
	return list
}

func (h header) Value(i int) (string, error) {
	if h[i][1] == "!" {
		return "", errors.New("field too long")
	}
	return h[i][1], nil
}

func received(n int) header {
	h := make(header, n)
	for i := range h {
		h[i] = [2]string{"Received", "by x; date"}
	}
	return h
}

// THREATS C22.
func TestLooped(t *testing.T) {
	to := func(addr string) [2]string { return [2]string{"Delivered-To", addr} }
	tests := []struct {
		name   string
		header header
		want   bool
	}{
		{"nothing", nil, false},
		{"other recipient", header{{"Received", ""}, to("carol@example.net")}, false},
		{"same", header{{"Received", ""}, to("erin@example.net")}, true},
		{"same, no Received at all", header{to("erin@example.net")}, true},
		{"same, other spelling", header{{"Received", ""}, to(`<"Erin"@EXAMPLE.net.>`)}, true},
		{"second", header{{"Received", ""}, to("carol@example.net"), {"Received", ""}, to("erin@example.net")}, true},
		{"by the MTA in front of us", header{{"Return-Path", "<>"}, to("erin@example.net"), {"Received", ""}}, false},
		{"by the MTA, and before", header{to("erin@example.net"), {"Received", ""}, to("erin@example.net")}, true},
		{"detail differs", header{{"Received", ""}, to("erin+a@example.net")}, false},
		{"unreadable", header{{"Received", ""}, to("!")}, false},
		{"no address", header{{"Received", ""}, to("1-erin@@x")}, false},
		{"100 hosts", received(100), false},
		{"101 hosts", received(101), true},
	}
	for _, tt := range tests {
		r, looped := deliver.Looped(tt.header, "erin@example.net")
		if looped != tt.want {
			t.Errorf("%s: %v", tt.name, looped)
		}
		if want := (status.Enhanced{Class: 5, Subject: 4, Detail: 6}); looped && (r.Status != want || r.Temporary()) {
			t.Errorf("%s: %v", tt.name, &r)
		}
	}
}
