package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"paperknife/test/script"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"lmtpd": main}) }

func TestScripts(t *testing.T) { script.Run(t) }
