// Loaded before Azurite (`node --require`): its accounts are looked up in a file when an unknown one is asked for,
// so that a storage account may be created while it runs. Azurite itself reads the variable once a minute.
const fs = require("node:fs");
const path = require("node:path");
const main = process.argv[1];
const Store = require(path.join(path.dirname(main), "..", "common", "AccountDataStore.js")).default;
const known = Store.prototype.getAccount;
Store.prototype.getAccount = function (name) {
  if (known.call(this, name) === undefined) {
    process.env.AZURITE_ACCOUNTS = fs.readFileSync(process.env.ARMSIM_ACCOUNTS_FILE, "utf8").trim();
    this.refresh();
  }
  return known.call(this, name);
};
