package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paperknife/internal/agent"
	"paperknife/internal/config"
	"paperknife/internal/policy"
	"paperknife/internal/spool"
	"paperknife/internal/trust"
	"paperknife/unwrap"
)

// mayWrap decides whether the domain may sign the message: its own names fit the originator (SEEDS DOM D17), and the
// signatures that are there already are valid and the originator's (D18). It returns whether there are any. The
// originator of a message without one is known by other means: to whoever runs the command.
func (o *sealing) mayWrap(ctx context.Context, plain []byte, keys *sealKeys) (layered bool, err error) {
	c := config.Default()
	if o.config != "" {
		if c, err = config.Load(o.config); err != nil {
			return false, err
		}
	}
	a, err := agent.New(c, agent.Options{})
	if err != nil {
		return false, err
	}
	e, done, err := a.Explain(ctx, spool.FromBytes(plain), "", time.Time{})
	if err != nil {
		return false, err
	}
	defer done()
	if err := checkNames(c.Trust.Naming, keys, e.Originator); err != nil {
		return false, refused(err)
	}
	if len(e.Layers) == 0 {
		if looksSMIME(plain) {
			return false, refused(errors.New("the message looks like S/MIME, but its header cannot be read for certain"))
		}
		return false, nil
	}
	if err := checkInner(e); err != nil {
		if o.config == "" {
			err = fmt.Errorf("%w (give the configuration with the anchors by -config)", err)
		}
		return false, refused(err)
	}
	return true, nil
}

// refused is an error that is the message's fault, or that of the key for this message.
func refused(err error) error { return errMessage{fmt.Errorf("not signed: %w", err)} }

// checkNames holds the names of the keys against the originator.
func checkNames(naming []string, keys *sealKeys, from policy.Originator) error {
	if from.Fault != "" {
		return fmt.Errorf("%s", from.Fault)
	}
	store, err := trust.New(trust.Settings{Naming: naming})
	if err != nil {
		return err
	}
	// Without anchors nothing is trusted here; only the names are asked for.
	judgement := store.Judge(keys.domain.Certificate.Raw, nil, trust.Domain, time.Now())
	for _, domain := range from.Domains {
		if _, ok := judgement.Covers(domain); !ok {
			return fmt.Errorf("the signing certificate names %s, which does not cover the sender's domain %s",
				agentNames(judgement), domain)
		}
	}
	if keys.person == nil {
		return nil
	}
	person := store.Judge(keys.person.Certificate.Raw, nil, trust.Person, time.Now())
	for _, address := range from.Addresses {
		if !slices.ContainsFunc(person.Emails, func(email string) bool { return trust.EqualAddress(email, address) }) {
			return fmt.Errorf("the person's certificate does not name the sender %s", address)
		}
	}
	return nil
}

func agentNames(j trust.Judgement) string {
	var names []string
	for _, agent := range j.Agents {
		names = append(names, agent.Domain)
	}
	if len(names) == 0 {
		return "no domain"
	}
	return strings.Join(names, ", ")
}

// checkInner goes through the layers of a message that is to be wrapped.
func checkInner(e *agent.Explanation) error {
	if e.LimitReached {
		return errors.New("the message has too many layers to verify them all")
	}
	if first := e.Layers[0]; first.Type != unwrap.Signed && first.Type != unwrap.Unreadable || first.CertsOnly() {
		return fmt.Errorf("the message is %s as a whole, so that its signatures are not on the outside: sign first, then encrypt", first.Type)
	}
	for i, layer := range e.Layers {
		if err := checkLayer(layer, e.Judgements[i], e.Decision.Layers[i]); err != nil {
			return fmt.Errorf("layer %d (%s, %s): %w", i+1, layer.Type, layer.Role, err)
		}
	}
	return nil
}

func checkLayer(layer unwrap.Layer, judgements []trust.Judgement, result policy.LayerResult) error {
	switch {
	case encrypted(layer) && layer.ForUs && !layer.Opened:
		return errors.New("it is for us and cannot be opened")
	case encrypted(layer):
		return nil // for its recipient, as in example 7: nobody else can look inside
	case layer.Type != unwrap.Signed:
		return errors.New("it cannot be verified")
	case layer.Fault != nil:
		return layer.Fault
	}
	for j, signer := range layer.Signers {
		if signer.Outcome != unwrap.Good {
			return fmt.Errorf("a signature is not valid: %s", outcomeText(signer.Outcome))
		}
		if !judgements[j].Trusted {
			return fmt.Errorf("a signature is right, but its certificate does not count: %s", judgements[j].Reason)
		}
	}
	// Only the originator is held against From; those who signed after him have names of their own.
	foreign := result.Reason == policy.ReasonNotBound && layer.Role != unwrap.RoleOriginator || result.Reason == policy.ReasonMailingList
	if len(layer.Signers) > 0 && result.Result != "pass" && !foreign {
		return fmt.Errorf("its result is %s: %s", result.Result, result.Reason)
	}
	return nil
}

func encrypted(layer unwrap.Layer) bool {
	return layer.Type == unwrap.Enveloped || layer.Type == unwrap.AuthEnveloped
}

// looksSMIME reports whether the header of a message speaks of S/MIME.
func looksSMIME(plain []byte) bool {
	header, _, _ := bytes.Cut(bytes.ReplaceAll(plain, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	for _, word := range []string{"application/pkcs7-", "application/x-pkcs7-"} {
		if bytes.Contains(bytes.ToLower(header), []byte(word)) {
			return true
		}
	}
	return false
}
