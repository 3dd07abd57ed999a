//! What contacts cost: a price list that is loaded, and charges for drugs and devices beside it. Money is whole pence.

use std::{collections::BTreeMap, fmt};

use crate::{
    activity::codes::{LoadError, csv},
    domain::contact::{Code, Contact},
};

/// Money in pence.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pence(pub i64);

impl fmt::Display for Pence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100)
    }
}

impl Pence {
    /// Reads pounds, as `12` or `12.50`.
    pub fn of_pounds(text: &str) -> Option<Self> {
        let (pounds, pence) = text.trim().split_once('.').unwrap_or((text.trim(), "00"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(pounds) || !is_number(pence) || pence.len() != 2 {
            return None;
        }
        let pounds: i64 = pounds.parse().ok()?;
        Some(Self(pounds.checked_mul(100)?.checked_add(pence.parse().ok()?)?))
    }
}

/// What a charge is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ChargeKind {
    /// A contact.
    Activity,
    /// A drug that the tariff does not contain: in ACM, not in PLCM.
    Drug,
    /// A device that the tariff does not contain: in ACM, not in PLCM.
    Device,
}

/// A charge for a drug or a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charge {
    /// What for.
    pub kind: ChargeKind,
    /// ODS code of the commissioner who pays.
    pub commissioner: Code,
    /// Under which point of delivery.
    pub point_of_delivery: Code,
    /// How many.
    pub count: u32,
    /// For each.
    pub unit_price: Pence,
}

/// What is agreed for a point of delivery, and a tariff code if it has any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Price {
    /// For each contact.
    pub unit_price: Pence,
    /// Whether the price is a national one.
    pub is_national: bool,
}

/// The price list of a contract.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    prices: BTreeMap<(Code, Option<Code>), Price>,
    planned: BTreeMap<Code, u32>,
    charges: Vec<Charge>,
}

impl Prices {
    /// Loads prices from a CSV file with the columns `point of delivery,tariff,unit price,national,planned`: pounds, `Y`
    /// or `N`, and how many contacts are planned for the month. A line without a tariff is for every other tariff of
    /// its point of delivery. Says how many lines.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut prices = BTreeMap::new();
        let mut planned: BTreeMap<Code, u32> = BTreeMap::new();
        let columns = ["point of delivery", "tariff", "unit price", "national", "planned"];
        for (line, cells) in csv::read(file, &columns)? {
            let fault = |what| LoadError::Value { line, what };
            let [point, tariff, price, national, plan] = cells.as_slice() else { continue };
            let point: Code = point.parse().map_err(|_| fault("there is no point of delivery"))?;
            let tariff: Option<Code> = match tariff.trim() {
                "" => None,
                tariff => Some(tariff.parse().map_err(|_| fault("the tariff is not a code"))?),
            };
            let unit_price = Pence::of_pounds(price).ok_or(fault("a price is written 12.50"))?;
            let is_national = match national.trim() {
                "Y" => true,
                "N" => false,
                _ => return Err(fault("national is Y or N")),
            };
            let plan: u32 = plan.trim().parse().map_err(|_| fault("planned is a number"))?;
            let sum = planned.entry(point).or_default();
            *sum = sum.saturating_add(plan);
            if prices.insert((point, tariff), Price { unit_price, is_national }).is_some() {
                return Err(fault("the price is there twice"));
            }
        }
        let count = prices.len();
        (self.prices, self.planned) = (prices, planned);
        Ok(count)
    }

    /// Loads charges for drugs and devices from a CSV file with the columns
    /// `kind,commissioner,point of delivery,count,unit price`, the kind `drug` or `device`. Says how many.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load_charges(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut charges = Vec::new();
        let columns = ["kind", "commissioner", "point of delivery", "count", "unit price"];
        for (line, cells) in csv::read(file, &columns)? {
            let fault = |what| LoadError::Value { line, what };
            let [kind, commissioner, point, count, price] = cells.as_slice() else { continue };
            charges.push(Charge {
                kind: match kind.trim() {
                    "drug" => ChargeKind::Drug,
                    "device" => ChargeKind::Device,
                    _ => return Err(fault("the kind is drug or device")),
                },
                commissioner: commissioner.parse().map_err(|_| fault("there is no commissioner"))?,
                point_of_delivery: point.parse().map_err(|_| fault("there is no point of delivery"))?,
                count: count.trim().parse().map_err(|_| fault("count is a number"))?,
                unit_price: Pence::of_pounds(price).ok_or(fault("a price is written 12.50"))?,
            });
        }
        self.charges = charges;
        Ok(self.charges.len())
    }

    /// What a contact costs; none if nothing is agreed for it.
    pub fn of(&self, contact: &Contact) -> Option<Price> {
        let point = contact.facts.point_of_delivery?.value;
        let tariff = contact.facts.tariff.map(|fact| fact.value);
        self.prices.get(&(point, tariff)).or_else(|| self.prices.get(&(point, None))).copied()
    }

    /// How many contacts are planned for the month under a point of delivery.
    pub fn planned(&self, point_of_delivery: &str) -> u32 {
        let point: Option<Code> = point_of_delivery.parse().ok();
        point.and_then(|point| self.planned.get(&point)).copied().unwrap_or_default()
    }

    /// Charges for drugs and devices.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pounds_are_whole_pence() {
        assert_eq!(Pence::of_pounds("12.50"), Some(Pence(1250)));
        assert_eq!(Pence::of_pounds(" 7 "), Some(Pence(700)));
        for bad in ["", "12.5", "-1", "1,000", "1e3", "99999999999999999999", "1.005"] {
            assert_eq!(Pence::of_pounds(bad), None, "{bad}");
        }
        assert_eq!(Pence(1205).to_string(), "12.05");
        assert_eq!(Pence(-5).to_string(), "-0.05");
    }

    #[test]
    fn a_fault_names_its_line() {
        let mut prices = Prices::default();
        let head = "point of delivery,tariff,unit price,national,planned\n";
        assert_eq!(
            prices.load(format!("{head}OPFASPCL,WF01B,95.00,Y,10\nOPFASPCL,,80.00,N,5\n").as_bytes()),
            Ok(2)
        );
        assert_eq!(prices.planned("OPFASPCL"), 15);
        for (row, said) in [
            (",X,1.00,Y,1", "line 2: there is no point of delivery"),
            ("OP,X,1,50,Y", "line 2: national is Y or N"),
            ("OP,X,1.00,Y,many", "line 2: planned is a number"),
            ("OP,,1.00,Y,1\nOP,,2.00,Y,1", "line 3: the price is there twice"),
        ] {
            assert_eq!(prices.load(format!("{head}{row}\n").as_bytes()).unwrap_err().to_string(), said);
        }
        let head = "kind,commissioner,point of delivery,count,unit price\n";
        let fault = prices.load_charges(format!("{head}hat,X,Y,1,1.00\n").as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), "line 2: the kind is drug or device");
    }
}
