# The policies of policies/bank, in Rego: for an OPA server, or compiled to WebAssembly with
#   opa build -t wasm -e bank/authz/decision -b policies/bank-rego
package bank.authz

# What Sallyport asks for, as `path: bank/authz/decision`. The reasons of an allow are what permits it, those of
# a deny what forbids it.
decision := {"decision": allow, "reasons": reasons}

default allow := false

allow if {
	count(permits) > 0
	count(forbids) == 0
}

reasons := permits if allow

reasons := forbids if not allow

account := data.bank.accounts[input.resource.id] if input.resource.type == "Account"

is_owner if account.owner == input.subject.id

is_user if input.subject.type == "User"

# Who may look at an account.

permits contains "owner-read" if {
	is_user
	input.action.name in {"read", "download"}
	is_owner
}

permits contains "clerk-read" if {
	is_user
	input.action.name == "read"
	input.resource.type == "Account"
	input.subject.id in data.bank.clerks
}

# Auditors are told from the groups in the token.
permits contains "auditor-download" if {
	is_user
	input.action.name == "download"
	input.resource.type == "Account"
	"auditors" in input.subject.properties.groups
}

# Whoever is signed in may use what is there for everybody.
permits contains "user-application" if {
	is_user
	input.action.name in {"use", "watch"}
	input.resource.type == "Application"
}

permits contains "partner-watch" if {
	input.subject.type == "Partner"
	input.action.name == "watch"
	input.resource.type == "Application"
}

# Who may move money. A transfer is asked about twice: for the account that is debited and for the one
# that is credited.

permits contains "owner-transfer" if {
	is_user
	input.action.name == "transfer"
	input.resource.properties.side == "debit"
	is_owner
}

# Money may go to any account that there is.
permits contains "credit-known-account" if {
	is_user
	input.action.name == "transfer"
	input.resource.properties.side == "credit"
	account.owner
}

forbids contains "frozen-account" if {
	input.action.name == "transfer"
	account.frozen
}

# More than 1,000.00 wants a second factor.
forbids contains "transfer-limit" if {
	input.action.name == "transfer"
	input.context.amountCents > 100000
	not input.context.mfa
}

# A negative amount would take money from the account that it is sent to.
forbids contains "positive-amount" if {
	input.action.name == "transfer"
	input.context.amountCents <= 0
}
